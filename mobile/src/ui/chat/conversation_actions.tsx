/** What can be done with a whole conversation. */
import { useState } from 'react';
import type { ReactElement } from 'react';

import type { ConversationView } from '../../core/messenger.ts';
import { useT } from '../i18n/words';
import { Question, Sheet, SheetAction } from '../parts/sheet';
import { useMessenger } from '../state/hooks';
import { useNow } from '../state/now';

interface Props {
  readonly conversation: ConversationView;
  readonly open: boolean;
  readonly onClose: () => void;
}

const ALWAYS = 4_102_444_800; // the year 2100

export function ConversationActions({ conversation, open, onClose }: Props): ReactElement | null {
  const t = useT();
  const messenger = useMessenger();
  const now = useNow();
  const [asking, setAsking] = useState(false);
  const [muting, setMuting] = useState(false);
  const { peer, name, archived } = conversation;
  const muted = conversation.mutedUntil !== null && conversation.mutedUntil > now;
  const act = (work: Promise<unknown>): void => {
    onClose();
    setMuting(false);
    void work.catch(() => undefined);
  };
  const mute = (seconds: number): void => act(messenger.mute(peer, seconds === 0 ? ALWAYS : Math.floor(Date.now() / 1000) + seconds));
  if (!open && !asking && !muting) return null;
  return (
    <>
      <Sheet open={open && !muting && !asking} onClose={onClose} title={name}>
        <SheetAction icon="archive" title={t(archived ? 'chats.unarchive' : 'chats.archive')} onPress={() => act(messenger.setArchived(peer, !archived))} />
        {muted ? <SheetAction icon="bell" title={t('chats.unmute')} onPress={() => act(messenger.mute(peer, null))} /> : <SheetAction icon="bellOff" title={t('chats.mute')} onPress={() => setMuting(true)} />}
        <SheetAction
          icon="trash"
          danger
          title={t('chats.delete')}
          onPress={() => {
            setAsking(true);
            onClose();
          }}
        />
      </Sheet>
      <Sheet
        open={muting}
        title={t('chats.mute')}
        onClose={() => {
          setMuting(false);
          onClose();
        }}
      >
        <SheetAction icon="clock" title={t('mute.hour')} onPress={() => mute(3600)} />
        <SheetAction icon="clock" title={t('mute.day')} onPress={() => mute(86_400)} />
        <SheetAction icon="clock" title={t('mute.week')} onPress={() => mute(604_800)} />
        <SheetAction icon="bellOff" title={t('mute.always')} onPress={() => mute(0)} />
      </Sheet>
      <Question
        open={asking}
        danger
        title={t('chats.delete_title')}
        text={t('chats.delete_detail', { name })}
        confirm={t('chats.delete')}
        onConfirm={() => {
          setAsking(false);
          act(messenger.deleteConversation(peer));
        }}
        onClose={() => setAsking(false)}
      />
    </>
  );
}
