/** Conversations by name, then messages by text. */
import { useRouter } from 'expo-router';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { ScrollView, View } from 'react-native';

import type { ConversationView, SearchHit } from '../../core/messenger.ts';
import { listTime } from '../i18n/times';
import { useWords } from '../i18n/words';
import { Avatar } from '../parts/avatar';
import { Empty, Failed } from '../parts/states';
import { Heading, Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { codeOf } from '../state/cache';
import { useMessenger } from '../state/hooks';
import { useNow } from '../state/now';
import { space } from '../theme/tokens';
import { ConversationLine } from './conversation_line';

interface Found {
  readonly query: string;
  readonly hits: readonly SearchHit[];
  readonly error: string | null;
}

/** The match is between U+2068 and U+2069: drawn stronger. */
export function excerptParts(excerpt: string): readonly { readonly text: string; readonly match: boolean }[] {
  return excerpt
    .split(/(\u2068[^\u2069]*\u2069)/)
    .filter((part) => part !== '')
    .map((part) => ({ text: part.replace(/[\u2068\u2069]/g, ''), match: part.startsWith('\u2068') }));
}

export function SearchResults({ query, conversations }: { readonly query: string; readonly conversations: readonly ConversationView[] }): ReactElement {
  const { t, language, locale } = useWords();
  const router = useRouter();
  const messenger = useMessenger();
  const now = useNow();
  const [found, setFound] = useState<Found>({ query: '', hits: [], error: null });
  const wanted = query.trim();
  useEffect(() => {
    if (wanted === '') return undefined;
    let current = true;
    // While somebody types, not every letter is a question.
    const timer = setTimeout(() => {
      messenger.search(wanted, { peer: null, limit: 50 }).then(
        (hits) => current && setFound({ query: wanted, hits, error: null }),
        (error: unknown) => current && setFound({ query: wanted, hits: [], error: codeOf(error) }),
      );
    }, 150);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [messenger, wanted]);
  if (wanted === '') return <Empty icon="search" title={t('search.title')} detail={t('search.detail')} />;
  if (found.error !== null && found.query === wanted) return <Failed code={found.error} onRetry={() => setFound({ query: '', hits: [], error: null })} />;
  const people = conversations.filter(({ name }) => name.toLocaleLowerCase(language).includes(wanted.toLocaleLowerCase(language)));
  const hits = found.query === wanted ? found.hits : [];
  const names = new Map(conversations.map(({ peer, name }) => [peer, name]));
  if (people.length === 0 && hits.length === 0 && found.query === wanted) return <Empty icon="search" title={t('search.nothing')} detail={t('search.nothing_detail', { text: wanted })} />;
  return (
    <ScrollView keyboardShouldPersistTaps="handled" contentContainerStyle={{ paddingBottom: space.xl }}>
      {people.length > 0 && (
        <Heading kind="label" tone="inkSoft" style={{ paddingHorizontal: space.l, paddingTop: space.m }}>
          {t('search.people')}
        </Heading>
      )}
      {people.map((conversation) => (
        <ConversationLine key={conversation.peer} conversation={conversation} />
      ))}
      {hits.length > 0 && (
        <Heading kind="label" tone="inkSoft" style={{ paddingHorizontal: space.l, paddingTop: space.m }}>
          {t('search.messages')}
        </Heading>
      )}
      {hits.map(({ peer, message, excerpt }) => {
        const name = names.get(peer) ?? '';
        const time = listTime(locale, t, message.at, now);
        const parts = excerptParts(excerpt);
        return (
          <Touch
            key={`${peer} ${message.id}`}
            label={[name, parts.map(({ text }) => text).join(''), time].join(', ')}
            onPress={() => router.push(`/chat/${peer}?row=${message.row}`)}
            style={{ flexDirection: 'row', gap: space.m, alignItems: 'center', paddingHorizontal: space.l, paddingVertical: space.m }}
          >
            <Avatar peer={peer} name={name} size={40} />
            <View style={{ flex: 1 }}>
              <View style={{ flexDirection: 'row', gap: space.s }}>
                <Txt kind="label" numberOfLines={1} style={{ flex: 1 }}>
                  {name}
                </Txt>
                <Txt kind="caption" tone="inkSoft">
                  {time}
                </Txt>
              </View>
              <Txt kind="small" tone="inkSoft" numberOfLines={2}>
                {parts.map(({ text, match }, at) => (
                  <Txt key={at} kind="small" tone={match ? 'accent' : 'inkSoft'} weight={match ? '600' : '400'}>
                    {text}
                  </Txt>
                ))}
              </Txt>
            </View>
          </Touch>
        );
      })}
    </ScrollView>
  );
}
