import type { ReactElement } from 'react';
import { View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import { useWords, formatNumber } from '../i18n/words';
import type { PlainKey } from '../i18n/words';
import { Icon } from '../parts/icon';
import type { IconName } from '../parts/icon';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { useConversations } from '../state/hooks';
import { useColours } from '../theme/theme';
import { radius, space } from '../theme/tokens';

const TABS: readonly { readonly name: string; readonly title: PlainKey; readonly icon: IconName }[] = [
  { name: 'chats', title: 'tab.chats', icon: 'chats' },
  { name: 'calls', title: 'tab.calls', icon: 'phone' },
  { name: 'settings', title: 'tab.settings', icon: 'settings' },
];

export function TabBar({ current, onGo }: { readonly current: string; readonly onGo: (name: string) => void }): ReactElement {
  const { t, language } = useWords();
  const colours = useColours();
  const { bottom } = useSafeAreaInsets();
  const { data } = useConversations(false);
  const unread = data?.filter((conversation) => conversation.unread > 0 && !conversation.blocked).length ?? 0;
  return (
    <View accessibilityRole="tablist" style={{ flexDirection: 'row', backgroundColor: colours.canvas, borderTopWidth: 1, borderTopColor: colours.line, paddingBottom: bottom, paddingTop: space.xs }}>
      {TABS.map(({ name, title, icon }) => {
        const here = name === current;
        const badge = name === 'chats' && unread > 0 ? unread : 0;
        return (
          <Touch
            key={name}
            role="tab"
            label={badge > 0 ? `${t(title)}, ${t('tab.unread', { count: badge })}` : t(title)}
            state={{ selected: here }}
            onPress={() => onGo(name)}
            pressedColour={null}
            style={{ flex: 1, alignItems: 'center', justifyContent: 'center', paddingVertical: space.xs, minHeight: 56, gap: space.hair }}
            testID={`tab-${name}`}
          >
            <View style={{ paddingHorizontal: space.l, paddingVertical: space.xs, borderRadius: radius.full, backgroundColor: here ? colours.accentSoft : 'transparent' }}>
              <Icon name={icon} size={22} colour={here ? colours.onAccentSoft : colours.inkSoft} />
              {badge > 0 && (
                <View style={{ position: 'absolute', top: -2, end: 4, minWidth: 18, height: 18, borderRadius: 9, paddingHorizontal: 4, backgroundColor: colours.accent, alignItems: 'center', justifyContent: 'center' }}>
                  <Txt kind="badge" tone="onAccent" allowFontScaling={false} largest={1}>
                    {formatNumber(language, badge)}
                  </Txt>
                </View>
              )}
            </View>
            <Txt kind="caption" tone={here ? 'ink' : 'inkSoft'} weight={here ? '600' : '500'} numberOfLines={1} largest={1.4}>
              {t(title)}
            </Txt>
          </Touch>
        );
      })}
    </View>
  );
}
