import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { FlatList, TextInput, View } from 'react-native';

import { ConversationLine } from '../../src/ui/chat/conversation_line';
import { SearchResults } from '../../src/ui/chat/search_results';
import { useT } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { Icon } from '../../src/ui/parts/icon';
import { OfflineLine } from '../../src/ui/parts/offline';
import { PlaceLine } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Empty, Failed, Loading, Notice } from '../../src/ui/parts/states';
import { useTypeStyle } from '../../src/ui/parts/text';
import { IconButton, Touch } from '../../src/ui/parts/touch';
import { useAccount, useConversations } from '../../src/ui/state/hooks';
import { useColours } from '../../src/ui/theme/theme';
import { largestScale, radius, space, touch } from '../../src/ui/theme/tokens';

export default function Chats(): ReactElement {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  const face = useTypeStyle('body');
  const { data, error, retry } = useConversations(false);
  const { data: archived } = useConversations(true);
  const { data: account } = useAccount();
  const [sought, setSought] = useState<string | null>(null);
  const requests = data?.filter(({ request, blocked }) => request && !blocked) ?? [];
  const open = data?.filter(({ request, blocked }) => !request || blocked) ?? [];

  const bar =
    sought === null
      ? { title: t('chats.title'), right: <IconButton icon="search" label={t('action.search')} onPress={() => setSought('')} testID="search" /> }
      : {
          leave: 'back' as const,
          onLeave: () => setSought(null),
          middle: (
            <TextInput
              autoFocus
              value={sought}
              onChangeText={setSought}
              placeholder={t('search.placeholder')}
              accessibilityLabel={t('search.placeholder')}
              placeholderTextColor={colours.inkSoft}
              maxFontSizeMultiplier={largestScale}
              returnKeyType="search"
              autoCorrect={false}
              testID="search-field"
              style={[face, { color: colours.ink, minHeight: touch, outlineStyle: 'none' as never }]}
            />
          ),
        };

  return (
    <Screen leave="none" {...bar} fixed>
      <OfflineLine />
      {sought !== null ? (
        <SearchResults query={sought} conversations={[...open, ...(archived ?? [])]} />
      ) : data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <>
          <FlatList
            data={open}
            keyExtractor={({ peer }) => peer}
            contentContainerStyle={{ flexGrow: 1, paddingBottom: 88 }}
            renderItem={({ item }) => <ConversationLine conversation={item} />}
            ListHeaderComponent={
              <>
                {account && !account.recoveryConfirmed && (
                  <View style={{ padding: space.l }}>
                    <Notice look="caution" icon="key" text={t('chats.recovery_due')}>
                      <Button look="plain" label={t('chats.recovery_show')} onPress={() => router.push('/recovery')} />
                    </Notice>
                  </View>
                )}
                {requests.length > 0 && <PlaceLine icon="person" title={t('chats.requests', { count: requests.length })} detail={requests.map(({ name }) => name).join(' · ')} onPress={() => router.push('/requests')} testID="requests" />}
              </>
            }
            ListEmptyComponent={
              <Empty icon="chats" title={t('chats.empty')} detail={t('chats.empty_detail')}>
                <Button label={t('chats.begin')} icon="compose" onPress={() => router.push('/new')} />
                <Button look="plain" icon="qr" label={t('new.my_code')} onPress={() => router.push('/card')} />
              </Empty>
            }
            ListFooterComponent={archived && archived.length > 0 ? <PlaceLine icon="archive" title={t('chats.archived')} detail={t('chats.archived_count', { count: archived.length })} onPress={() => router.push('/archived')} testID="archived" /> : null}
          />
          {open.length > 0 && (
            <Touch
              label={t('chats.begin')}
              onPress={() => router.push('/new')}
              pressedColour={colours.mineInset}
              testID="new"
              style={{ position: 'absolute', bottom: space.l, end: space.l, width: 60, height: 60, borderRadius: radius.l, backgroundColor: colours.mine, alignItems: 'center', justifyContent: 'center', boxShadow: '0 4px 14px rgba(30, 12, 40, 0.28)' }}
            >
              <Icon name="compose" size={26} colour={colours.onMine} />
            </Touch>
          )}
        </>
      )}
    </Screen>
  );
}
