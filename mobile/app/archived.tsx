import type { ReactElement } from 'react';
import { FlatList } from 'react-native';

import { ConversationLine } from '../src/ui/chat/conversation_line';
import { useT } from '../src/ui/i18n/words';
import { Screen } from '../src/ui/parts/screen';
import { Empty, Failed, Loading } from '../src/ui/parts/states';
import { useConversations } from '../src/ui/state/hooks';

export default function Archived(): ReactElement {
  const t = useT();
  const { data, error, retry } = useConversations(true);
  return (
    <Screen title={t('chats.archived')} fixed online>
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <FlatList
          data={data}
          keyExtractor={({ peer }) => peer}
          contentContainerStyle={{ flexGrow: 1 }}
          renderItem={({ item }) => <ConversationLine conversation={item} />}
          ListEmptyComponent={<Empty icon="archive" title={t('archived.empty')} detail={t('archived.empty_detail')} />}
        />
      )}
    </Screen>
  );
}
