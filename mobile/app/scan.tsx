import { useLocalSearchParams, useRouter } from 'expo-router';
import { useCallback, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Scanner } from '../src/ui/join/scanner';
import { Screen } from '../src/ui/parts/screen';
import { Trouble } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { codeOf } from '../src/ui/state/cache';
import { useMessenger } from '../src/ui/state/hooks';
import { space } from '../src/ui/theme/tokens';

/** Reads a QR code: an invite, somebody's contact code, or a safety number to compare. */
export default function Scan(): ReactElement {
  const t = useT();
  const router = useRouter();
  const messenger = useMessenger();
  const { for: purpose, peer } = useLocalSearchParams<{ for: 'invite' | 'contact' | 'safety'; peer?: string }>();
  const [error, setError] = useState<string | null>(null);
  const busy = useRef(false);
  const onRead = useCallback(
    (text: string) => {
      if (busy.current) return;
      busy.current = true;
      const done = (work: Promise<void>): void => {
        work.then(
          () => setError(null),
          (failure: unknown) => {
            setError(codeOf(failure));
            busy.current = false;
          },
        );
      };
      if (purpose === 'invite') router.dismissTo(`/join?link=${encodeURIComponent(text)}`);
      else if (purpose === 'safety' && peer !== undefined) done(messenger.compareSafetyCode(peer, text).then((fits) => router.dismissTo(`/safety/${peer}?result=${fits ? 'fits' : 'differs'}`)));
      else done(messenger.addByCard(text, true).then((contact) => router.replace(`/contact/${contact.peer}`)));
    },
    [messenger, peer, purpose, router],
  );
  return (
    <Screen title={t('scan.title')} leave="close" fixed>
      <View style={{ flex: 1 }}>
        <Scanner onRead={onRead} />
        <View style={{ padding: space.xl, gap: space.m }}>
          <Txt tone="inkSoft" centred>
            {t(purpose === 'invite' ? 'scan.invite' : purpose === 'safety' ? 'scan.safety' : 'scan.contact')}
          </Txt>
          <Trouble code={error} />
        </View>
      </View>
    </Screen>
  );
}
