/** What stands above the text field, or in its place: a stranger's request, a key that changed, a block, nobody to reach. */
import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { ConversationView } from '../../core/messenger.ts';
import { useT } from '../i18n/words';
import { Button } from '../parts/button';
import { Question } from '../parts/sheet';
import { Notice, Trouble } from '../parts/states';
import { useAction } from '../state/hooks';
import { space } from '../theme/tokens';

type Asking = 'block' | 'delete' | null;

export function ChatBanner({ conversation }: { readonly conversation: ConversationView }): ReactElement | null {
  const t = useT();
  const router = useRouter();
  const [asking, setAsking] = useState<Asking>(null);
  const { peer, name, blocked, request, identity, reachable } = conversation;
  const act = useAction((messenger, what: 'accept' | 'block' | 'unblock' | 'delete' | 'confirm') => {
    if (what === 'accept') return messenger.acceptRequest(peer);
    if (what === 'block') return messenger.block(peer);
    if (what === 'unblock') return messenger.unblock(peer);
    if (what === 'confirm') return messenger.confirmIdentity(peer);
    return messenger.deleteConversation(peer).then(() => router.dismissTo('/chats'));
  });
  const run = (what: Parameters<typeof act.run>[0]): void => {
    setAsking(null);
    void act.run(what);
  };
  const content = blocked ? (
    <Notice look="plain" icon="block" text={t('chat.blocked', { name })}>
      <Button look="plain" label={t('contact.unblock')} busy={act.running} onPress={() => run('unblock')} />
    </Notice>
  ) : request ? (
    <Notice look="plain" icon="person" title={t('request.title', { name })} text={t('request.detail')}>
      <Button look="plain" label={t('request.delete')} onPress={() => setAsking('delete')} />
      <Button look="plain" label={t('request.block')} onPress={() => setAsking('block')} />
      <Button label={t('request.accept')} busy={act.running} onPress={() => run('accept')} testID="accept" />
    </Notice>
  ) : identity === 'unconfirmed' ? (
    <Notice look="danger" icon="shieldAlert" title={t('identity.stopped')} text={t('identity.stopped_detail', { name })}>
      <Button look="plain" label={t('identity.confirm')} busy={act.running} onPress={() => run('confirm')} testID="confirm-identity" />
      <Button label={t('identity.compare')} onPress={() => router.push(`/safety/${peer}`)} />
    </Notice>
  ) : identity === 'changed' ? (
    <Notice look="caution" icon="shieldAlert" text={t('identity.changed', { name })}>
      <Button look="plain" label={t('identity.seen')} busy={act.running} onPress={() => run('confirm')} />
      <Button look="plain" label={t('identity.compare')} onPress={() => router.push(`/safety/${peer}`)} />
    </Notice>
  ) : !reachable ? (
    <Notice look="caution" icon="offline" text={t('chat.unreachable', { name })} />
  ) : null;
  if (content === null) return null;
  return (
    <View style={{ paddingHorizontal: space.m, paddingVertical: space.s, gap: space.s }}>
      <Trouble code={act.error} />
      {content}
      <Question open={asking === 'block'} danger title={t('block.title', { name })} text={t('block.detail')} confirm={t('request.block')} onConfirm={() => run('block')} onClose={() => setAsking(null)} />
      <Question open={asking === 'delete'} danger title={t('chats.delete_title')} text={t('chats.delete_detail', { name })} confirm={t('request.delete')} onConfirm={() => run('delete')} onClose={() => setAsking(null)} />
    </View>
  );
}
