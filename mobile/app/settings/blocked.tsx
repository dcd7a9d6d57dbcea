import type { ReactElement } from 'react';
import { FlatList, View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Avatar } from '../../src/ui/parts/avatar';
import { Button } from '../../src/ui/parts/button';
import { Screen } from '../../src/ui/parts/screen';
import { Empty, Failed, Loading, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAction, useContacts } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

export default function Blocked(): ReactElement {
  const t = useT();
  const { data, error, retry } = useContacts();
  const unblock = useAction((messenger, peer: string) => messenger.unblock(peer));
  return (
    <Screen title={t('privacy.blocked')} fixed>
      <View style={{ paddingHorizontal: space.l }}>
        <Trouble code={unblock.error} />
      </View>
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <FlatList
          data={data.filter(({ blocked }) => blocked)}
          keyExtractor={({ peer }) => peer}
          contentContainerStyle={{ flexGrow: 1 }}
          ListEmptyComponent={<Empty icon="block" title={t('blocked.empty')} detail={t('blocked.empty_detail')} />}
          renderItem={({ item }) => (
            <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, paddingHorizontal: space.l, paddingVertical: space.s }}>
              <Avatar peer={item.peer} name={item.name} size={44} />
              <Txt style={{ flex: 1 }}>{item.name}</Txt>
              <Button look="plain" label={t('contact.unblock')} onPress={() => void unblock.run(item.peer)} />
            </View>
          )}
        />
      )}
    </Screen>
  );
}
