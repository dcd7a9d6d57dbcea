/** Where a message is written: draft, quote, correction. */
import { useEffect, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { Platform, TextInput, View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import type { ConversationView, MessageView } from '../../core/messenger.ts';
import { useT } from '../i18n/words';
import { Icon } from '../parts/icon';
import { Trouble } from '../parts/states';
import { Txt, useTypeStyle } from '../parts/text';
import { IconButton, Touch } from '../parts/touch';
import { useAction, useMessenger } from '../state/hooks';
import { useColours } from '../theme/theme';
import { largestScale, radius, space, touch } from '../theme/tokens';

export type Composing = { readonly kind: 'new' } | { readonly kind: 'reply' | 'edit'; readonly message: MessageView };

/** A browser begins with two rows, Android with one. */
const ONE_ROW = Platform.OS === 'web' ? ({ rows: 1 } as object) : {};

const SAVE_DRAFT_MS = 400;
/** After this long without a key, nobody is typing. */
const STILL_TYPING_MS = 5000;

interface Props {
  readonly conversation: ConversationView;
  readonly composing: Composing;
  readonly onCancel: () => void;
  readonly onSent: () => void;
}

export function Composer({ conversation, composing, onCancel, onSent }: Props): ReactElement {
  const t = useT();
  const colours = useColours();
  const face = useTypeStyle('body');
  const messenger = useMessenger();
  const { bottom } = useSafeAreaInsets();
  const { peer, name } = conversation;
  const editing = composing.kind === 'edit';
  const [text, setText] = useState(editing ? (composing.message.text ?? '') : conversation.draft);
  const field = useRef<TextInput>(null);

  // Written down a moment after the last key, and when the screen is left: a draft survives the app.
  const unsaved = useRef<string | null>(null);
  useEffect(() => {
    const save = (): void => {
      if (unsaved.current !== null) void messenger.setDraft(peer, unsaved.current).catch(() => undefined);
      unsaved.current = null;
    };
    const timer = setTimeout(save, SAVE_DRAFT_MS);
    return () => clearTimeout(timer);
  }, [messenger, peer, text]);
  useEffect(
    () => () => {
      if (unsaved.current !== null) void messenger.setDraft(peer, unsaved.current).catch(() => undefined);
    },
    [messenger, peer],
  );

  const typing = useRef<ReturnType<typeof setTimeout> | null>(null);
  const stopTyping = (): void => {
    if (typing.current === null) return;
    clearTimeout(typing.current);
    typing.current = null;
    void messenger.setTyping(peer, false).catch(() => undefined);
  };
  const noteTyping = (): void => {
    if (typing.current === null) void messenger.setTyping(peer, true).catch(() => undefined);
    else clearTimeout(typing.current);
    typing.current = setTimeout(stopTyping, STILL_TYPING_MS);
  };
  useEffect(
    () => () => {
      if (typing.current !== null) clearTimeout(typing.current);
    },
    [],
  );

  const quoting = composing.kind === 'reply' ? composing.message : null;
  useEffect(() => {
    if (composing.kind !== 'new') field.current?.focus();
  }, [composing.kind]);

  const send = useAction(async (core, written: string) => {
    if (composing.kind === 'edit') await core.edit(peer, composing.message.id, written);
    else await core.send(peer, { text: written, quotes: quoting?.id ?? null });
  });
  const submit = async (): Promise<void> => {
    const written = text.trim();
    if (written === '' || send.running) return;
    stopTyping();
    if (!(await send.run(written))) return;
    unsaved.current = null;
    if (!editing) {
      setText('');
      void messenger.setDraft(peer, '').catch(() => undefined);
    }
    onSent();
  };

  const above = composing.kind === 'new' ? null : composing.message;
  const ready = text.trim() !== '';
  return (
    <View style={{ paddingHorizontal: space.s, paddingTop: space.xs, paddingBottom: bottom + space.s, gap: space.xs, backgroundColor: colours.canvas }}>
      <Trouble code={send.error} />
      {above && (
        <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.s, backgroundColor: colours.sunken, borderRadius: radius.m, paddingStart: space.m }}>
          <Icon name={editing ? 'pencil' : 'reply'} size={18} colour={colours.accent} />
          <View style={{ flex: 1 }}>
            <Txt kind="caption" tone="accent" weight="600">
              {editing ? t('compose.editing') : above.mine ? t('compose.replying_self') : t('compose.replying', { name })}
            </Txt>
            <Txt kind="small" tone="inkSoft" numberOfLines={1}>
              {above.text ?? ''}
            </Txt>
          </View>
          <IconButton icon="close" size={20} label={t('action.cancel')} onPress={onCancel} />
        </View>
      )}
      <View style={{ flexDirection: 'row', alignItems: 'flex-end', gap: space.s }}>
        <View style={{ flex: 1, backgroundColor: colours.sunken, borderRadius: 26, minHeight: touch + 4, justifyContent: 'center' }}>
          <TextInput
            ref={field}
            accessibilityLabel={t('compose.label', { name })}
            placeholder={t('compose.placeholder')}
            placeholderTextColor={colours.inkSoft}
            selectionColor={colours.accent}
            cursorColor={colours.accent}
            maxFontSizeMultiplier={largestScale}
            multiline
            {...ONE_ROW}
            value={text}
            onChangeText={(value) => {
              setText(value);
              if (!editing) unsaved.current = value;
              if (value !== '') noteTyping();
            }}
            testID="compose"
            style={[face, { color: colours.ink, paddingHorizontal: space.l, paddingVertical: space.m, maxHeight: 148, outlineStyle: 'none' as never }]}
          />
        </View>
        <Touch
          label={t(editing ? 'compose.save' : 'compose.send')}
          disabled={!ready}
          state={{ busy: send.running }}
          onPress={() => void submit()}
          pressedColour={colours.mineInset}
          testID="send"
          style={{ width: touch + 4, height: touch + 4, borderRadius: radius.full, alignItems: 'center', justifyContent: 'center', backgroundColor: ready ? colours.mine : colours.sunken }}
        >
          <Icon name={editing ? 'check' : 'send'} size={22} colour={ready ? colours.onMine : colours.inkSoft} />
        </Touch>
      </View>
    </View>
  );
}
