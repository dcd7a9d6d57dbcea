import { useLocalSearchParams, useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { ContactView } from '../../src/core/messenger.ts';
import { ConversationActions } from '../../src/ui/chat/conversation_actions';
import { TimerSheet } from '../../src/ui/chat/timer_sheet';
import { duration } from '../../src/ui/i18n/times';
import { useT } from '../../src/ui/i18n/words';
import { readable } from '../../src/ui/join/numbers';
import { Avatar } from '../../src/ui/parts/avatar';
import { Button } from '../../src/ui/parts/button';
import { Field } from '../../src/ui/parts/field';
import { Icon } from '../../src/ui/parts/icon';
import type { IconName } from '../../src/ui/parts/icon';
import { Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Question, Sheet } from '../../src/ui/parts/sheet';
import { Failed, Loading, Trouble } from '../../src/ui/parts/states';
import { Heading, Txt } from '../../src/ui/parts/text';
import { Touch } from '../../src/ui/parts/touch';
import { useAction, useContact, useConversation } from '../../src/ui/state/hooks';
import { useNow } from '../../src/ui/state/now';
import { useColours } from '../../src/ui/theme/theme';
import { radius, space } from '../../src/ui/theme/tokens';

function Round({ icon, label, onPress, disabled = false }: { readonly icon: IconName; readonly label: string; readonly onPress: () => void; readonly disabled?: boolean }): ReactElement {
  const colours = useColours();
  return (
    <Touch label={label} onPress={onPress} disabled={disabled} style={{ alignItems: 'center', gap: space.xs, width: 84, paddingVertical: space.s, borderRadius: radius.m, opacity: disabled ? 0.5 : 1 }}>
      <View style={{ width: 48, height: 48, borderRadius: radius.full, backgroundColor: colours.accentSoft, alignItems: 'center', justifyContent: 'center' }}>
        <Icon name={icon} size={22} colour={colours.onAccentSoft} />
      </View>
      <Txt kind="caption" tone="ink" weight="500" centred>
        {label}
      </Txt>
    </Touch>
  );
}

export default function Contact(): ReactElement {
  const t = useT();
  const { peer } = useLocalSearchParams<{ peer: string }>();
  const { data, error, retry } = useContact(peer);
  return (
    <Screen title={t('contact.title')} padded={false} online>
      {data ? <Person contact={data} /> : error === null ? <Loading /> : <Failed code={error} onRetry={retry} />}
    </Screen>
  );
}

function Person({ contact }: { readonly contact: ContactView }): ReactElement {
  const t = useT();
  const router = useRouter();
  const now = useNow();
  const colours = useColours();
  const { peer, name, profileName, number, verified, blocked, identity } = contact;
  const { data: conversation } = useConversation(peer);
  const [naming, setNaming] = useState<string | null>(null);
  const [timing, setTiming] = useState(false);
  const [blocking, setBlocking] = useState(false);
  const [more, setMore] = useState(false);
  const rename = useAction((messenger, chosen: string | null) => messenger.setContactName(peer, chosen));
  const block = useAction((messenger, on: boolean) => (on ? messenger.block(peer) : messenger.unblock(peer)));
  const call = useAction((messenger) => messenger.startCall(peer));
  const mute = useAction((messenger) => messenger.mute(peer, null));
  const muted = contact.mutedUntil !== null && contact.mutedUntil > now;
  const shownNumber = number === null ? '' : `\u2066${readable(number)}\u2069 · ${t(contact.numberConfirmed ? 'contact.number_found' : 'contact.number_unconfirmed')}`;
  const state = identity !== 'same' ? 'contact.changed_detail' : verified ? 'contact.verified_detail' : 'contact.not_verified_detail';
  return (
    <View style={{ gap: space.s, paddingBottom: space.xl }}>
      <View style={{ alignItems: 'center', gap: space.s, paddingHorizontal: space.xl }}>
        <Avatar peer={peer} name={name} size={104} />
        <Heading kind="title" centred>
          {name}
        </Heading>
        {profileName !== null && profileName !== name && (
          <Txt kind="small" tone="inkSoft" centred>
            {t('contact.calls_themselves', { name: profileName })}
          </Txt>
        )}
        {number !== null && (
          <Txt kind="small" tone="inkSoft" centred>
            {shownNumber}
          </Txt>
        )}
      </View>
      <View style={{ flexDirection: 'row', justifyContent: 'center', flexWrap: 'wrap', gap: space.xs, paddingVertical: space.s }}>
        <Round icon="chats" label={t('contact.message')} onPress={() => router.dismissTo(`/chat/${peer}`)} />
        <Round icon="phone" label={t('contact.call')} disabled={blocked || contact.request} onPress={() => void call.run().then((done) => done && router.push('/call'))} />
        <Round icon={muted ? 'bell' : 'bellOff'} label={t(muted ? 'chats.unmute' : 'chats.mute')} onPress={() => (muted ? void mute.run() : setMore(true))} />
      </View>
      <View style={{ paddingHorizontal: space.l }}>
        <Trouble code={call.error ?? block.error ?? rename.error} />
      </View>
      <Group title={t('contact.security')}>
        <Touch
          label={`${t('contact.safety')}, ${t(verified && identity === 'same' ? 'contact.verified' : 'contact.not_verified')}, ${t(state, { name })}`}
          onPress={() => router.push(`/safety/${peer}`)}
          testID="safety"
          style={{ flexDirection: 'row', gap: space.l, padding: space.l, alignItems: 'flex-start' }}
        >
          <Icon name={identity !== 'same' ? 'shieldAlert' : verified ? 'verified' : 'shield'} size={24} colour={identity !== 'same' ? colours.caution : verified ? colours.good : colours.inkSoft} />
          <View style={{ flex: 1, gap: space.hair }}>
            <Txt kind="strong">{t('contact.safety')}</Txt>
            <Txt kind="small" tone="inkSoft">
              {t(state, { name })}
            </Txt>
          </View>
          <View style={{ alignSelf: 'center' }}>
            <Icon name="forward" size={18} colour={colours.inkSoft} />
          </View>
        </Touch>
      </Group>
      <Group>
        <Row icon="timer" title={t('timer.title')} value={duration(t, conversation?.timerS ?? 0)} onPress={() => setTiming(true)} />
        <Row icon="pencil" title={t('contact.rename')} onPress={() => setNaming(name === profileName ? '' : name)} last />
      </Group>
      <Group>
        {blocked ? (
          <Row icon="block" title={t('contact.unblock')} tone="accent" onPress={() => void block.run(false)} last />
        ) : (
          <Row icon="block" title={t('contact.block')} tone="danger" onPress={() => setBlocking(true)} last testID="block" />
        )}
      </Group>
      <Sheet open={naming !== null} onClose={() => setNaming(null)} title={t('contact.rename')}>
        <View style={{ paddingHorizontal: space.xl, gap: space.l }}>
          <Field label={t('contact.your_name')} help={t('contact.your_name_help')} value={naming ?? ''} onChangeText={setNaming} maxLength={64} placeholder={profileName ?? ''} />
          <Button
            label={t('action.save')}
            busy={rename.running}
            onPress={() => {
              const chosen = (naming ?? '').trim();
              void rename.run(chosen === '' ? null : chosen).then((done) => done && setNaming(null));
            }}
          />
        </View>
      </Sheet>
      <TimerSheet peer={peer} seconds={conversation?.timerS ?? 0} open={timing} onClose={() => setTiming(false)} />
      <Question
        open={blocking}
        danger
        title={t('block.title', { name })}
        text={t('block.detail')}
        confirm={t('contact.block')}
        busy={block.running}
        onConfirm={() => void block.run(true).then(() => setBlocking(false))}
        onClose={() => setBlocking(false)}
      />
      {conversation && <ConversationActions conversation={conversation} open={more} onClose={() => setMore(false)} />}
    </View>
  );
}
