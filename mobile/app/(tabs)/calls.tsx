import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { FlatList, View } from 'react-native';

import type { CallRow } from '../../src/core/messenger.ts';
import { outcomeWords } from '../../src/ui/chat/preview';
import { callLength, listTime } from '../../src/ui/i18n/times';
import { useWords } from '../../src/ui/i18n/words';
import { Avatar } from '../../src/ui/parts/avatar';
import { Button } from '../../src/ui/parts/button';
import { Icon } from '../../src/ui/parts/icon';
import { OfflineLine } from '../../src/ui/parts/offline';
import { Screen } from '../../src/ui/parts/screen';
import { Question } from '../../src/ui/parts/sheet';
import { Empty, Failed, Loading } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { IconButton, Touch } from '../../src/ui/parts/touch';
import { useAction, useCalls } from '../../src/ui/state/hooks';
import { useNow } from '../../src/ui/state/now';
import { useColours } from '../../src/ui/theme/theme';
import { space } from '../../src/ui/theme/tokens';

function CallLine({ call, onCall }: { readonly call: CallRow; readonly onCall: (peer: string) => void }): ReactElement {
  const { t, locale } = useWords();
  const colours = useColours();
  const router = useRouter();
  const now = useNow();
  const { peer, name, outgoing, outcome, seconds } = call;
  const missed = !outgoing && outcome !== 'answered' && outcome !== 'declined';
  const what = outcomeWords(t, outcome, outgoing);
  const detail = [what, listTime(locale, t, call.at, now), seconds > 0 ? callLength(seconds) : null].filter((part) => part !== null).join(' · ');
  return (
    <View style={{ flexDirection: 'row', alignItems: 'center', paddingEnd: space.s }}>
      <Touch label={`${name}, ${detail}`} onPress={() => router.push(`/contact/${peer}`)} style={{ flex: 1, flexDirection: 'row', alignItems: 'center', gap: space.m, paddingStart: space.l, paddingVertical: space.m }}>
        <Avatar peer={peer} name={name} size={48} />
        <View style={{ flex: 1, gap: space.hair }}>
          <Txt kind="strong" tone={missed ? 'danger' : 'ink'} numberOfLines={1}>
            {name}
          </Txt>
          <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs }}>
            <Icon name={missed ? 'missed' : outgoing ? 'outgoing' : 'incoming'} size={15} colour={missed ? colours.danger : colours.inkSoft} />
            <Txt kind="small" tone="inkSoft" style={{ flex: 1 }}>
              {detail}
            </Txt>
          </View>
        </View>
      </Touch>
      <IconButton icon="phone" colour={colours.accent} label={t('chat.call', { name })} onPress={() => onCall(peer)} />
    </View>
  );
}

export default function Calls(): ReactElement {
  const { t } = useWords();
  const router = useRouter();
  const { data, error, retry } = useCalls();
  const [clearing, setClearing] = useState(false);
  const call = useAction((messenger, peer: string) => messenger.startCall(peer));
  const forget = useAction((messenger) => messenger.forgetCalls());
  const start = (peer: string): void => void call.run(peer).then((done) => done && router.push('/call'));
  return (
    <Screen leave="none" title={t('calls.title')} fixed right={data && data.length > 0 ? <IconButton icon="trash" label={t('calls.forget')} onPress={() => setClearing(true)} /> : undefined}>
      <OfflineLine />
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <FlatList
          data={data}
          keyExtractor={({ id }) => id}
          contentContainerStyle={{ flexGrow: 1 }}
          renderItem={({ item }) => <CallLine call={item} onCall={start} />}
          ListEmptyComponent={
            <Empty icon="phone" title={t('calls.empty')} detail={t('calls.empty_detail')}>
              <Button label={t('chats.begin')} look="quiet" onPress={() => router.push('/new')} />
            </Empty>
          }
        />
      )}
      <Question open={clearing} danger title={t('calls.forget')} text={t('calls.forget_detail')} confirm={t('calls.forget')} onConfirm={() => void forget.run().then(() => setClearing(false))} onClose={() => setClearing(false)} />
    </Screen>
  );
}
