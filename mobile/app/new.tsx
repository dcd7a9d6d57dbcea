import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { FlatList, View } from 'react-native';

import type { ContactView } from '../src/core/messenger.ts';
import { useWords } from '../src/ui/i18n/words';
import { readable, toE164 } from '../src/ui/join/numbers';
import { Steps } from '../src/ui/join/steps';
import { Avatar } from '../src/ui/parts/avatar';
import { Field } from '../src/ui/parts/field';
import { Icon } from '../src/ui/parts/icon';
import { Row } from '../src/ui/parts/rows';
import { Screen } from '../src/ui/parts/screen';
import { Empty, Failed, Loading, Notice, Trouble } from '../src/ui/parts/states';
import { Heading, Txt } from '../src/ui/parts/text';
import { Touch } from '../src/ui/parts/touch';
import { useAction, useContacts, useProgress } from '../src/ui/state/hooks';
import { useDevice } from '../src/ui/state/preferences';
import { useColours } from '../src/ui/theme/theme';
import { space } from '../src/ui/theme/tokens';

function PersonLine({ contact }: { readonly contact: ContactView }): ReactElement {
  const { t } = useWords();
  const colours = useColours();
  const router = useRouter();
  const { peer, name, verified, number, identity } = contact;
  const under = number === null ? null : `\u2066${readable(number)}\u2069`;
  return (
    <Touch
      label={[name, verified ? t('contact.verified') : null, number].filter((part) => part !== null).join(', ')}
      onPress={() => router.replace(`/chat/${peer}`)}
      testID={`person-${name}`}
      style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, paddingHorizontal: space.l, paddingVertical: space.s, minHeight: 60 }}
    >
      <Avatar peer={peer} name={name} size={44} />
      <View style={{ flex: 1 }}>
        <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs }}>
          <Txt kind="strong" numberOfLines={1} style={{ flexShrink: 1 }}>
            {name}
          </Txt>
          {verified && identity === 'same' && <Icon name="verified" size={16} colour={colours.good} />}
        </View>
        {under !== null && (
          <Txt kind="small" tone="inkSoft">
            {under}
          </Txt>
        )}
      </View>
    </Touch>
  );
}

export default function New(): ReactElement {
  const { t, language } = useWords();
  const router = useRouter();
  const device = useDevice();
  const { data, error, retry } = useContacts();
  const [sought, setSought] = useState('');
  const [refused, setRefused] = useState(false);
  const [found, setFound] = useState<number | null>(null);
  const progress = useProgress('discover');
  const discover = useAction(async (messenger) => {
    setFound(null);
    if (!(await device.addressBook.ask())) {
      setRefused(true);
      return;
    }
    const country = await device.addressBook.country();
    const book = (await device.addressBook.entries()).flatMap(({ number, name }) => {
      const e164 = toE164(number, country);
      return e164 === null ? [] : [{ number: e164, name }];
    });
    setFound((await messenger.discover(book)).length);
  });
  const wanted = sought.trim().toLocaleLowerCase(language);
  const people = (data ?? []).filter(({ name, number, blocked }) => !blocked && (wanted === '' || name.toLocaleLowerCase(language).includes(wanted) || (number ?? '').includes(wanted)));
  return (
    <Screen title={t('new.title')} fixed online>
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <FlatList
          data={people}
          keyExtractor={({ peer }) => peer}
          keyboardShouldPersistTaps="handled"
          contentContainerStyle={{ flexGrow: 1, paddingBottom: space.xl }}
          renderItem={({ item }) => <PersonLine contact={item} />}
          ListHeaderComponent={
            <View>
              <View style={{ paddingHorizontal: space.l, paddingBottom: space.s }}>
                <Field label={t('new.search')} value={sought} onChangeText={setSought} testID="new-search" />
              </View>
              <Row icon="scan" title={t('new.scan')} detail={t('new.scan_detail')} onPress={() => router.push('/scan?for=contact')} />
              <Row icon="qr" title={t('new.my_code')} detail={t('new.my_code_detail')} onPress={() => router.push('/card')} testID="my-code" />
              <Row icon="link" title={t('new.link')} onPress={() => router.push('/add')} testID="add-link" />
              <Row icon="book" title={t('new.discover')} detail={t('new.discover_detail')} onPress={() => void discover.run()} last testID="discover" />
              <View style={{ paddingHorizontal: space.l, paddingTop: space.s, gap: space.s }}>
                {discover.running && <Steps progress={progress} running />}
                {refused && <Notice look="caution" icon="book" text={t('new.no_permission')} />}
                {found !== null && <Notice look="good" icon="people" text={t('new.found', { count: found })} />}
                <Trouble code={discover.error} />
              </View>
              {people.length > 0 && (
                <Heading kind="label" tone="inkSoft" style={{ paddingHorizontal: space.l, paddingTop: space.l, paddingBottom: space.xs }}>
                  {t('new.people')}
                </Heading>
              )}
            </View>
          }
          ListEmptyComponent={wanted === '' ? <Empty icon="people" title={t('new.empty')} detail={t('new.empty_detail')} /> : <Empty icon="search" title={t('search.nothing')} detail={t('search.nothing_detail', { text: sought.trim() })} />}
        />
      )}
    </Screen>
  );
}
