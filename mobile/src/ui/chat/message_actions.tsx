/** What can be done with one message: react, reply, copy, correct, take back, try again. */
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { MessageView } from '../../core/messenger.ts';
import { fullTime } from '../i18n/times';
import { useWords } from '../i18n/words';
import { Question, Sheet, SheetAction } from '../parts/sheet';
import { Trouble } from '../parts/states';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { useAction } from '../state/hooks';
import { useDevice, usePreferences } from '../state/preferences';
import { useNow } from '../state/now';
import { useColours } from '../theme/theme';
import { radius, space, touch } from '../theme/tokens';
import { STATUS_WORDS } from './status';

export const REACTIONS = ['❤️', '👍', '👎', '😂', '😮', '😢'] as const;
const EDITABLE_S = 86_400;

interface Props {
  readonly peer: string;
  readonly message: MessageView | null;
  readonly onClose: () => void;
  readonly onReply: (message: MessageView) => void;
  readonly onEdit: (message: MessageView) => void;
}

export function MessageActions({ peer, message, onClose, onReply, onEdit }: Props): ReactElement | null {
  const { t, locale } = useWords();
  const colours = useColours();
  const device = useDevice();
  const now = useNow();
  const { preferences } = usePreferences();
  const [deleting, setDeleting] = useState<MessageView | null>(null);
  const act = useAction((messenger, what: 'react' | 'retry' | 'delete' | 'delete_all', id: string, emoji: string | null = null) => {
    if (what === 'react') return messenger.react(peer, id, emoji);
    if (what === 'retry') return messenger.retry(peer, id);
    if (what === 'delete') return messenger.deleteForMe(peer, [id]);
    return messenger.deleteForEveryone(peer, id);
  });
  const run = (...input: Parameters<typeof act.run>): void => {
    void act.run(...input).then((done) => {
      if (!done) return;
      setDeleting(null);
      onClose();
    });
  };
  const shut = (): void => {
    act.clear();
    onClose();
  };
  if (!message && !deleting) return null;
  const text = message?.kind === 'text' ? message : null;
  const own = text?.reactions.find(({ mine }) => mine)?.emoji ?? null;
  const statusKey = message?.mine === true ? STATUS_WORDS[message.status] : null;
  const recent = text !== null && text.mine && now - text.at < EDITABLE_S;
  const gone = deleting ?? message;
  return (
    <>
      <Sheet open={message !== null && deleting === null} onClose={shut}>
        {text && (
          <View style={{ flexDirection: 'row', justifyContent: 'space-between', paddingHorizontal: space.l, paddingBottom: space.s }}>
            {REACTIONS.map((emoji) => (
              <Touch
                key={emoji}
                label={t('message.react', { text: emoji })}
                state={{ selected: own === emoji }}
                onPress={() => run('react', text.id, own === emoji ? null : emoji)}
                testID={`react-${emoji}`}
                style={{ width: touch, height: touch, borderRadius: radius.full, alignItems: 'center', justifyContent: 'center', backgroundColor: own === emoji ? colours.accentSoft : 'transparent' }}
              >
                <Txt allowFontScaling={false} style={{ fontSize: 26, lineHeight: 34 }}>
                  {emoji}
                </Txt>
              </Touch>
            ))}
          </View>
        )}
        {message?.status === 'failed' && <SheetAction icon="send" title={t('message.retry')} onPress={() => run('retry', message.id)} />}
        {text && (
          <SheetAction
            icon="reply"
            title={t('message.reply')}
            testID="reply"
            onPress={() => {
              onReply(text);
              shut();
            }}
          />
        )}
        {text && (
          <SheetAction
            icon="copy"
            title={t('message.copy')}
            onPress={() => {
              void device.clipboard.copy(text.text ?? '', preferences.clipboardClearS).catch(() => undefined);
              shut();
            }}
          />
        )}
        {text && recent && text.status !== 'failed' && (
          <SheetAction
            icon="pencil"
            title={t('message.edit')}
            onPress={() => {
              onEdit(text);
              shut();
            }}
          />
        )}
        {message && <SheetAction icon="trash" danger title={t('message.delete')} onPress={() => setDeleting(message)} />}
        {message && (
          <Txt kind="caption" tone="inkSoft" centred style={{ paddingHorizontal: space.xl, paddingTop: space.s }}>
            {[fullTime(locale, message.at), statusKey ? t(statusKey) : null].filter((part) => part !== null).join(' · ')}
          </Txt>
        )}
        <View style={{ paddingHorizontal: space.l }}>
          <Trouble code={act.error} />
        </View>
      </Sheet>
      <Question
        open={deleting !== null}
        danger
        title={t('delete.title')}
        text={t(gone?.mine === true && gone.kind === 'text' ? 'delete.detail_mine' : 'delete.detail')}
        confirm={t('delete.for_me')}
        busy={act.running}
        onConfirm={() => deleting && run('delete', deleting.id)}
        onClose={() => {
          setDeleting(null);
          shut();
        }}
      >
        {gone?.mine === true && gone.kind === 'text' && recentEnough(gone) && <SheetAction icon="people" danger title={t('delete.for_everyone')} onPress={() => run('delete_all', gone.id)} />}
        <Trouble code={act.error} />
      </Question>
    </>
  );
}

function recentEnough(message: MessageView): boolean {
  return message.status !== 'failed' && message.status !== 'queued';
}
