/** One line that says why nothing comes or goes, and what can be done; nothing at all while everything is well. */
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { ConnectionView } from '../../core/messenger.ts';
import type { PlainKey } from '../i18n/words';
import { useT } from '../i18n/words';
import { useConnection, useMessenger } from '../state/hooks';
import { useColours } from '../theme/theme';
import { space } from '../theme/tokens';
import { Icon } from './icon';
import { Txt } from './text';
import { Touch } from './touch';

const WORDS: Readonly<Partial<Record<ConnectionView['state'], PlainKey>>> = {
  off: 'connection.off',
  connecting: 'connection.connecting',
  waiting: 'connection.waiting',
  elsewhere: 'connection.elsewhere',
  revoked: 'connection.revoked',
};

export function OfflineLine(): ReactElement | null {
  const t = useT();
  const colours = useColours();
  const messenger = useMessenger();
  const { data } = useConnection();
  const words = data && WORDS[data.state];
  if (!data || !words) return null;
  const calm = data.state === 'connecting';
  const tone = calm ? 'inkSoft' : 'onCautionSoft';
  const content = (
    <>
      <Icon name={data.state === 'elsewhere' ? 'transfer' : 'offline'} size={16} colour={colours[tone]} />
      <Txt kind="small" tone={tone} style={{ flex: 1 }}>
        {t(words)}
      </Txt>
    </>
  );
  const style = { flexDirection: 'row', alignItems: 'center', gap: space.s, paddingHorizontal: space.l, paddingVertical: space.s, backgroundColor: calm ? colours.sunken : colours.cautionSoft } as const;
  if (data.state !== 'waiting' && data.state !== 'elsewhere') {
    return (
      <View style={style} accessible accessibilityRole="alert" accessibilityLiveRegion="polite">
        {content}
      </View>
    );
  }
  return (
    <Touch label={`${t(words)} ${t('action.reconnect')}`} onPress={() => void messenger.reconnect().catch(() => undefined)} style={style} pressedColour={null}>
      {content}
      <Txt kind="label" tone="onCautionSoft" weight="600">
        {t('action.reconnect')}
      </Txt>
    </Touch>
  );
}
