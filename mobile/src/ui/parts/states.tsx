/** What a screen shows instead of its content: nothing there yet, still asking, could not be read. */
import type { ReactElement, ReactNode } from 'react';
import { ActivityIndicator, View } from 'react-native';

import { useT } from '../i18n/words';
import { useColours } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import type { Palette } from '../theme/tokens';
import { Button } from './button';
import { useErrorText } from './errors';
import { Icon } from './icon';
import type { IconName } from './icon';
import { Heading, Txt } from './text';

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  readonly detail: string;
  readonly children?: ReactNode;
}

export function Empty({ icon, title, detail, children }: EmptyProps): ReactElement {
  const colours = useColours();
  return (
    <View style={{ flexGrow: 1, alignItems: 'center', justifyContent: 'center', padding: space.xxl, gap: space.m }}>
      <View aria-hidden style={{ width: 72, height: 72, borderRadius: 36, backgroundColor: colours.accentSoft, alignItems: 'center', justifyContent: 'center', marginBottom: space.xs }}>
        <Icon name={icon} size={30} colour={colours.onAccentSoft} />
      </View>
      <Heading centred>{title}</Heading>
      <Txt tone="inkSoft" centred style={{ maxWidth: 320 }}>
        {detail}
      </Txt>
      {children !== undefined && <View style={{ marginTop: space.s, gap: space.s }}>{children}</View>}
    </View>
  );
}

export function Loading(): ReactElement {
  const t = useT();
  const colours = useColours();
  return (
    <View style={{ flexGrow: 1, alignItems: 'center', justifyContent: 'center', padding: space.xxl }} accessible accessibilityRole="progressbar" accessibilityLabel={t('state.loading')} accessibilityState={{ busy: true }}>
      <ActivityIndicator size="large" color={colours.accent} />
    </View>
  );
}

export function Failed({ code, onRetry }: { readonly code: string; readonly onRetry: () => void }): ReactElement {
  const t = useT();
  const text = useErrorText();
  return (
    <Empty icon="alert" title={t('state.failed')} detail={text(code)}>
      <Button look="quiet" label={t('action.retry')} onPress={onRetry} />
    </Empty>
  );
}

type NoticeLook = 'caution' | 'danger' | 'good' | 'plain';

const NOTICES: Readonly<Record<NoticeLook, { readonly ground: keyof Palette; readonly ink: keyof Palette }>> = {
  caution: { ground: 'cautionSoft', ink: 'onCautionSoft' },
  danger: { ground: 'dangerSoft', ink: 'onDangerSoft' },
  good: { ground: 'goodSoft', ink: 'onGoodSoft' },
  plain: { ground: 'accentSoft', ink: 'onAccentSoft' },
};

/** A few sentences set apart, with what can be done about it. Read out when it appears. */
export function Notice({ look, icon, title, text, children }: { readonly look: NoticeLook; readonly icon: IconName; readonly title?: string; readonly text: string; readonly children?: ReactNode }): ReactElement {
  const colours = useColours();
  const { ground, ink } = NOTICES[look];
  return (
    <View style={{ backgroundColor: colours[ground], borderRadius: radius.m, padding: space.l, gap: space.m }} accessibilityLiveRegion="polite">
      <View style={{ flexDirection: 'row', gap: space.m }}>
        <View aria-hidden style={{ paddingTop: 1 }}>
          <Icon name={icon} size={20} colour={colours[ink]} />
        </View>
        <View style={{ flex: 1, gap: space.xs }}>
          {title !== undefined && (
            <Txt kind="strong" tone={ink}>
              {title}
            </Txt>
          )}
          <Txt kind="small" tone={ink}>
            {text}
          </Txt>
        </View>
      </View>
      {children !== undefined && <View style={{ flexDirection: 'row', flexWrap: 'wrap', gap: space.s, justifyContent: 'flex-end' }}>{children}</View>}
    </View>
  );
}

/** The failure of something that was tried; nothing while there is none. */
export function Trouble({ code }: { readonly code: string | null }): ReactElement | null {
  const text = useErrorText();
  if (code === null) return null;
  return <Notice look="danger" icon="alert" text={text(code)} />;
}
