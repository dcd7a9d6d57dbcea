/** What happened between messages: a key changed, a timer was set, a call, something that could not be read. */
import { useRouter } from 'expo-router';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { MessageKind, MessageView } from '../../core/messenger.ts';
import { callLength, clockTime, duration } from '../i18n/times';
import { useWords } from '../i18n/words';
import { Icon } from '../parts/icon';
import type { IconName } from '../parts/icon';
import { Txt } from '../parts/text';
import { useLook } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import { kindWords, outcomeWords } from './preview';
import { Touch } from '../parts/touch';

const ICONS: Readonly<Partial<Record<MessageKind, IconName>>> = { undecryptable: 'alert', session_reset: 'info', identity_changed: 'shieldAlert', timer: 'timer', call: 'phone' };

function words(t: ReturnType<typeof useWords>['t'], message: MessageView, name: string): string {
  if (message.kind === 'timer') return message.timerS > 0 ? t(message.mine ? 'event.timer_mine' : 'event.timer_theirs', { name, time: duration(t, message.timerS) }) : t(message.mine ? 'event.timer_off_mine' : 'event.timer_off_theirs', { name });
  if (message.kind === 'identity_changed') return t('event.identity', { name });
  if (message.kind === 'undecryptable') return t('event.undecryptable', { name });
  if (message.kind === 'session_reset') return t('event.session_reset', { name });
  if (message.kind === 'call' && message.call) {
    const outcome = outcomeWords(t, message.call.outcome, message.mine);
    return message.call.seconds > 0 ? `${outcome} · ${callLength(message.call.seconds)}` : outcome;
  }
  return message.kind === 'text' || message.kind === 'deleted' ? '' : kindWords(t, message.kind);
}

export function EventLine({ message, name }: { readonly message: MessageView; readonly name: string }): ReactElement {
  const { t, locale } = useWords();
  const { colours } = useLook();
  const router = useRouter();
  const text = words(t, message, name);
  const time = clockTime(locale, message.at);
  const missed = message.kind === 'call' && !message.mine && message.call?.outcome !== 'answered';
  const careful = message.kind === 'identity_changed' || message.kind === 'undecryptable';
  const ink = careful ? 'onCautionSoft' : missed ? 'danger' : 'inkSoft';
  const body = (
    <>
      <Icon name={missed ? 'missed' : (ICONS[message.kind] ?? 'info')} size={16} colour={colours[ink]} />
      <Txt kind="small" tone={ink} style={{ flexShrink: 1 }}>
        {text}
      </Txt>
      <Txt kind="caption" tone={ink}>
        {time}
      </Txt>
    </>
  );
  const style = { flexDirection: 'row', alignItems: 'center', alignSelf: 'center', gap: space.s, marginTop: space.m, paddingHorizontal: space.m, paddingVertical: space.s, borderRadius: radius.m, backgroundColor: careful ? colours.cautionSoft : colours.sunken, maxWidth: '92%' } as const;
  if (message.kind === 'call') {
    return (
      <Touch label={`${text}, ${time}`} onPress={() => router.navigate('/calls')} style={style}>
        {body}
      </Touch>
    );
  }
  return (
    <View style={style} accessible accessibilityLabel={`${text}, ${time}`}>
      {body}
    </View>
  );
}
