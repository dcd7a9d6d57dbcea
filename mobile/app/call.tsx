import { useRouter } from 'expo-router';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import type { CallView } from '../src/core/messenger.ts';
import { CallButton } from '../src/ui/chat/call_button';
import { outcomeWords } from '../src/ui/chat/preview';
import type { AudioRoute } from '../src/ui/device/device';
import { callLength } from '../src/ui/i18n/times';
import { useT } from '../src/ui/i18n/words';
import type { PlainKey, Translate } from '../src/ui/i18n/words';
import { Avatar } from '../src/ui/parts/avatar';
import { useErrorText } from '../src/ui/parts/errors';
import { Icon } from '../src/ui/parts/icon';
import type { IconName } from '../src/ui/parts/icon';
import { Sheet, SheetAction } from '../src/ui/parts/sheet';
import { Heading, Txt } from '../src/ui/parts/text';
import { useAction, useCall } from '../src/ui/state/hooks';
import { useDevice } from '../src/ui/state/preferences';
import { night, radius, space } from '../src/ui/theme/tokens';

const ROUTES: Readonly<Record<AudioRoute, { readonly icon: IconName; readonly title: PlainKey }>> = {
  earpiece: { icon: 'phone', title: 'call.earpiece' },
  speaker: { icon: 'speaker', title: 'call.speaker' },
  bluetooth: { icon: 'bluetooth', title: 'call.bluetooth' },
  wired: { icon: 'headset', title: 'call.wired' },
};

/** Ends that nobody wished for: the log's word does not say enough. */
const TROUBLES: ReadonlySet<string> = new Set(['no_connection', 'connection_lost', 'media_failed', 'interrupted', 'turn_refused', 'turn_full', 'turn_unreachable']);

/** Long enough to read how it ended. */
const SHOWN_AFTER_END_MS = 2500;

/** One call at most. The screen stays until the call is over, and a moment longer. */
export default function Call(): ReactElement {
  const router = useRouter();
  const { data: current } = useCall();
  const [last, setLast] = useState<CallView | null>(null);
  if (current && current !== last) setLast(current);
  const over = current === null || current?.state === 'ended';
  useEffect(() => {
    if (!over) return undefined;
    const timer = setTimeout(() => (router.canGoBack() ? router.back() : router.replace('/calls')), SHOWN_AFTER_END_MS);
    return () => clearTimeout(timer);
  }, [over, router]);
  return <View style={{ flex: 1, backgroundColor: night.ground }}>{last && <OnCall call={current ?? { ...last, state: 'ended' }} />}</View>;
}

function stateWords(t: Translate, errorWords: (code: string) => string, call: CallView, seconds: number): string {
  if (call.state === 'ended') return call.reason !== null && TROUBLES.has(call.reason) ? errorWords(call.reason) : call.outcome !== null && call.outcome !== 'answered' ? outcomeWords(t, call.outcome, call.outgoing) : t('call.over');
  if (call.state === 'connected') return callLength(seconds);
  if (call.state === 'ringing') return t(call.outgoing ? 'call.ringing' : 'call.incoming');
  return t(call.state === 'dialing' ? 'call.dialing' : call.state === 'reconnecting' ? 'call.reconnecting' : 'call.connecting');
}

/** Bars of one to three: what somebody hears, not what a network measures. */
export function quality(call: CallView): 'good' | 'fair' | 'poor' | null {
  if (call.quality === null) return null;
  const { roundTripMs, lossPercent, jitterMs } = call.quality;
  if (lossPercent > 8 || roundTripMs > 800 || jitterMs > 120) return 'poor';
  return lossPercent > 3 || roundTripMs > 400 || jitterMs > 60 ? 'fair' : 'good';
}

function useSecondsSince(start: number | null): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (start === null) return undefined;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [start]);
  return start === null ? 0 : Math.max(0, now - start);
}

function Mark({ icon, text }: { readonly icon: IconName; readonly text: string }): ReactElement {
  return (
    <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.s }} accessible accessibilityLabel={text}>
      <Icon name={icon} size={16} colour={night.inkSoft} />
      <Txt kind="small" colour={night.inkSoft} style={{ flexShrink: 1 }}>
        {text}
      </Txt>
    </View>
  );
}

function OnCall({ call }: { readonly call: CallView }): ReactElement {
  const t = useT();
  const device = useDevice();
  const errorWords = useErrorText();
  const { top, bottom } = useSafeAreaInsets();
  const [routes, setRoutes] = useState<readonly AudioRoute[]>([]);
  const [route, setRoute] = useState<AudioRoute>('earpiece');
  const [choosing, setChoosing] = useState(false);
  const answer = useAction(async (messenger) => {
    if ((await device.audio.microphone()) === 'denied') throw Object.assign(new Error('microphone'), { code: 'no_microphone' });
    await messenger.answerCall(call.id);
  });
  const end = useAction((messenger) => messenger.endCall(call.id));
  const mute = useAction((messenger) => messenger.setMuted(call.id, !call.muted));
  useEffect(
    () =>
      device.audio.onRoutes((available, current) => {
        setRoutes(available);
        setRoute(current);
      }),
    [device],
  );
  const seconds = useSecondsSince(call.state === 'ended' ? null : call.connectedAt);
  const incoming = !call.outgoing && call.state === 'ringing';
  const over = call.state === 'ended';
  const choose = (wanted: AudioRoute): void => {
    setChoosing(false);
    void device.audio.setRoute(wanted).catch(() => undefined);
  };
  const toggleSpeaker = (): void => (routes.length > 2 ? setChoosing(true) : choose(route === 'speaker' ? 'earpiece' : 'speaker'));
  const heard = quality(call);
  return (
    <View style={{ flex: 1, paddingTop: top + space.xxl, paddingBottom: bottom + space.xxl, paddingHorizontal: space.xl }}>
      <View style={{ alignItems: 'center', gap: space.l, flex: 1, justifyContent: 'center' }}>
        <Avatar peer={call.peer} name={call.name} size={128} />
        <Heading kind="display" colour={night.ink} centred numberOfLines={2}>
          {call.name}
        </Heading>
        <Txt colour={night.inkSoft} centred accessibilityLiveRegion="polite" style={{ fontVariant: ['tabular-nums'] }}>
          {stateWords(t, errorWords, call, seconds)}
        </Txt>
        {answer.error !== null && (
          <Txt colour={night.ink} centred>
            {errorWords(answer.error)}
          </Txt>
        )}
      </View>
      <View style={{ gap: space.s, alignSelf: 'center', backgroundColor: night.raised, borderRadius: radius.l, paddingHorizontal: space.l, paddingVertical: space.m, marginVertical: space.xl }}>
        <Mark icon={call.verified ? 'verified' : 'lock'} text={t(call.verified ? 'call.verified' : 'call.encrypted')} />
        <Mark icon={call.relayOnly ? 'server' : 'alert'} text={t(call.relayOnly ? 'call.relay_only' : 'call.direct')} />
        {heard !== null && call.state === 'connected' && <Mark icon="pulse" text={t(heard === 'good' ? 'call.quality_good' : heard === 'fair' ? 'call.quality_fair' : 'call.quality_poor')} />}
      </View>
      {incoming ? (
        <View style={{ flexDirection: 'row', justifyContent: 'space-evenly' }}>
          <CallButton icon="phone" label={t('call.decline')} look="end" onPress={() => void end.run()} testID="decline" />
          <CallButton icon="phone" label={t('call.answer')} look="answer" busy={answer.running} onPress={() => void answer.run()} testID="answer" />
        </View>
      ) : (
        <View style={{ flexDirection: 'row', justifyContent: 'space-evenly', opacity: over ? 0.4 : 1 }}>
          <CallButton icon={call.muted ? 'muted' : 'microphone'} label={t(call.muted ? 'call.unmute' : 'call.mute')} look={call.muted ? 'active' : 'plain'} disabled={over} onPress={() => void mute.run()} testID="mute" />
          <CallButton icon={ROUTES[route].icon === 'phone' ? 'speaker' : ROUTES[route].icon} label={t(route === 'earpiece' ? 'call.speaker' : ROUTES[route].title)} look={route === 'earpiece' ? 'plain' : 'active'} disabled={over} onPress={toggleSpeaker} testID="route" />
          <CallButton icon="phone" label={t('call.end')} look="end" disabled={over} onPress={() => void end.run()} testID="hang-up" />
        </View>
      )}
      <Sheet open={choosing} onClose={() => setChoosing(false)} title={t('call.sound')}>
        {routes.map((each) => (
          <SheetAction key={each} icon={ROUTES[each].icon} title={t(ROUTES[each].title as 'call.speaker')} onPress={() => choose(each)} />
        ))}
      </Sheet>
    </View>
  );
}
