/** Lines of settings and lists. */
import type { ReactElement, ReactNode } from 'react';
import { View } from 'react-native';

import { useColours, useLook } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import type { Palette } from '../theme/tokens';
import { Icon } from './icon';
import type { IconName } from './icon';
import { Heading, Txt } from './text';
import { Touch } from './touch';

/** Lines that belong together, on one ground. */
export function Group({ title, children, note }: { readonly title?: string; readonly children: ReactNode; readonly note?: string }): ReactElement {
  const colours = useColours();
  return (
    <View style={{ paddingHorizontal: space.l, marginBottom: space.l }}>
      {title !== undefined && (
        <Heading kind="label" tone="inkSoft" style={{ paddingHorizontal: space.l, paddingBottom: space.s, paddingTop: space.s }}>
          {title}
        </Heading>
      )}
      <View style={{ backgroundColor: colours.surface, borderRadius: radius.l, overflow: 'hidden', borderWidth: 1, borderColor: colours.line }}>{children}</View>
      {note !== undefined && (
        <Txt kind="small" tone="inkSoft" style={{ paddingHorizontal: space.l, paddingTop: space.s }}>
          {note}
        </Txt>
      )}
    </View>
  );
}

interface RowProps {
  readonly icon?: IconName;
  readonly title: string;
  readonly detail?: string | undefined;
  readonly value?: string | undefined;
  readonly tone?: keyof Palette;
  readonly onPress?: () => void;
  readonly right?: ReactNode;
  readonly last?: boolean;
  readonly testID?: string;
}

/** Above this, what stands beside a title goes below it. */
const BESIDE = 1.3;

function RowBody({ icon, title, detail, value, tone = 'ink', right, onPress }: RowProps): ReactElement {
  const { colours, textScale } = useLook();
  const below = textScale > BESIDE;
  return (
    <>
      {icon && <Icon name={icon} size={22} colour={tone === 'ink' ? colours.inkSoft : colours[tone]} />}
      <View style={{ flex: 1, gap: space.hair }}>
        <Txt tone={tone}>{title}</Txt>
        {detail !== undefined && (
          <Txt kind="small" tone="inkSoft">
            {detail}
          </Txt>
        )}
        {below && value !== undefined && (
          <Txt kind="small" tone="inkSoft">
            {value}
          </Txt>
        )}
      </View>
      {!below && value !== undefined && (
        <Txt kind="small" tone="inkSoft" style={{ flexShrink: 1, maxWidth: '45%' }}>
          {value}
        </Txt>
      )}
      {right ?? (onPress && tone === 'ink' && <Icon name="forward" size={18} colour={colours.inkSoft} />)}
    </>
  );
}

const rowStyle = { flexDirection: 'row', alignItems: 'center', gap: space.l, paddingHorizontal: space.l, paddingVertical: space.m, minHeight: 56 } as const;

export function Row(props: RowProps): ReactElement {
  const colours = useColours();
  const { title, detail, value, onPress, last = false, testID } = props;
  const line = last ? undefined : { borderBottomWidth: 1, borderBottomColor: colours.line };
  const spoken = [title, value, detail].filter((part) => part !== undefined).join(', ');
  if (!onPress) {
    return (
      <View style={[rowStyle, line]} accessible accessibilityLabel={spoken}>
        <RowBody {...props} />
      </View>
    );
  }
  return (
    <Touch label={spoken} onPress={onPress} style={[rowStyle, line]} testID={testID}>
      <RowBody {...props} />
    </Touch>
  );
}

/** On or off. Drawn, so that it looks the same on every phone. */
export function SwitchRow({ title, detail, on, onChange, icon, disabled = false, last = false, testID }: { readonly title: string; readonly detail?: string; readonly on: boolean; readonly onChange: (on: boolean) => void; readonly icon?: IconName; readonly disabled?: boolean; readonly last?: boolean; readonly testID?: string }): ReactElement {
  const colours = useColours();
  const line = last ? undefined : { borderBottomWidth: 1, borderBottomColor: colours.line };
  return (
    <Touch label={title} hint={detail} role="switch" state={{ checked: on }} disabled={disabled} onPress={() => onChange(!on)} style={[rowStyle, line, disabled && { opacity: 0.5 }]} testID={testID}>
      <RowBody
        title={title}
        detail={detail}
        icon={icon}
        right={
          <View aria-hidden style={{ width: 46, height: 28, borderRadius: 14, padding: 3, backgroundColor: on ? colours.accent : colours.inkSoft, alignItems: on ? 'flex-end' : 'flex-start' }}>
            <View style={{ width: 22, height: 22, borderRadius: 11, backgroundColor: on ? colours.onAccent : colours.surface }} />
          </View>
        }
      />
    </Touch>
  );
}

export function ChoiceRow({ title, detail, chosen, onPress, last = false, testID }: { readonly title: string; readonly detail?: string; readonly chosen: boolean; readonly onPress: () => void; readonly last?: boolean; readonly testID?: string }): ReactElement {
  const colours = useColours();
  const line = last ? undefined : { borderBottomWidth: 1, borderBottomColor: colours.line };
  return (
    <Touch label={detail === undefined ? title : `${title}, ${detail}`} role="radio" state={{ checked: chosen, selected: chosen }} onPress={onPress} style={[rowStyle, line]} testID={testID}>
      <RowBody
        title={title}
        detail={detail}
        right={
          <View aria-hidden style={{ width: 22, height: 22, borderRadius: 11, borderWidth: 2, borderColor: chosen ? colours.accent : colours.inkSoft, alignItems: 'center', justifyContent: 'center' }}>
            {chosen && <View style={{ width: 10, height: 10, borderRadius: 5, backgroundColor: colours.accent }} />}
          </View>
        }
      />
    </Touch>
  );
}

/** A line among conversations that leads to others of them: requests, the archive. */
export function PlaceLine({ icon, title, detail, onPress, testID }: { readonly icon: IconName; readonly title: string; readonly detail: string; readonly onPress: () => void; readonly testID: string }): ReactElement {
  const colours = useColours();
  return (
    <Touch label={`${title}, ${detail}`} onPress={onPress} testID={testID} style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, paddingHorizontal: space.l, paddingVertical: space.m }}>
      <View style={{ width: 52, height: 52, borderRadius: radius.full, backgroundColor: colours.sunken, alignItems: 'center', justifyContent: 'center' }}>
        <Icon name={icon} size={24} colour={colours.inkSoft} />
      </View>
      <View style={{ flex: 1, gap: space.hair }}>
        <Txt kind="strong" numberOfLines={1}>
          {title}
        </Txt>
        <Txt kind="small" tone="inkSoft" numberOfLines={1}>
          {detail}
        </Txt>
      </View>
      <Icon name="forward" size={18} colour={colours.inkSoft} />
    </Touch>
  );
}
