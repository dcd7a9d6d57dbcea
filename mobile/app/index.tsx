import { Redirect } from 'expo-router';
import type { ReactElement } from 'react';

import { Failed, Loading } from '../src/ui/parts/states';
import { useAccount } from '../src/ui/state/hooks';

/** Where to begin: outside, with the recovery code that was never written down, or among the conversations. */
export default function Start(): ReactElement {
  const { data, error, retry } = useAccount();
  if (data === undefined) return error === null ? <Loading /> : <Failed code={error} onRetry={retry} />;
  if (data === null) return <Redirect href="/welcome" />;
  return <Redirect href={data.recoveryConfirmed ? '/chats' : '/recovery'} />;
}
