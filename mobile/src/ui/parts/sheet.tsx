/** What comes up from below over a screen: a choice, a question, the actions of a message. */
import type { ReactElement, ReactNode } from 'react';
import { Modal, Pressable, ScrollView, View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import { useT } from '../i18n/words';
import { useLook } from '../theme/theme';
import { measure, space } from '../theme/tokens';
import { Button } from './button';
import type { IconName } from './icon';
import { Icon } from './icon';
import { Heading, Txt } from './text';
import { Touch } from './touch';

interface SheetProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title?: string;
  readonly children: ReactNode;
}

export function Sheet({ open, onClose, title, children }: SheetProps): ReactElement {
  const t = useT();
  const { colours, still } = useLook();
  const { bottom, top } = useSafeAreaInsets();
  return (
    <Modal visible={open} transparent animationType={still ? 'none' : 'fade'} onRequestClose={onClose} statusBarTranslucent navigationBarTranslucent>
      <View style={{ flex: 1, justifyContent: 'flex-end' }}>
        <Pressable accessibilityRole="button" accessibilityLabel={t('action.close')} onPress={onClose} style={{ position: 'absolute', top: 0, bottom: 0, start: 0, end: 0, backgroundColor: colours.scrim }} />
        <View
          accessibilityViewIsModal
          style={{ backgroundColor: colours.surface, borderTopStartRadius: 24, borderTopEndRadius: 24, paddingTop: space.s, paddingBottom: bottom + space.l, width: '100%', maxWidth: measure.page, alignSelf: 'center', marginTop: top + space.xl, maxHeight: '88%' }}
        >
          <View aria-hidden style={{ width: 36, height: 4, borderRadius: 2, backgroundColor: colours.line, alignSelf: 'center', marginBottom: space.s }} />
          {title !== undefined && <Heading style={{ paddingHorizontal: space.xl, paddingVertical: space.s }}>{title}</Heading>}
          <ScrollView style={{ flexGrow: 0 }} keyboardShouldPersistTaps="handled">
            {children}
          </ScrollView>
        </View>
      </View>
    </Modal>
  );
}

interface SheetActionProps {
  readonly icon: IconName;
  readonly title: string;
  readonly detail?: string;
  readonly danger?: boolean;
  readonly onPress: () => void;
  readonly testID?: string;
}

export function SheetAction({ icon, title, detail, danger = false, onPress, testID }: SheetActionProps): ReactElement {
  const { colours } = useLook();
  return (
    <Touch label={detail === undefined ? title : `${title}, ${detail}`} onPress={onPress} testID={testID} style={{ flexDirection: 'row', alignItems: 'center', gap: space.l, paddingHorizontal: space.xl, paddingVertical: space.m, minHeight: 52 }}>
      <Icon name={icon} size={22} colour={danger ? colours.danger : colours.inkSoft} />
      <View style={{ flex: 1 }}>
        <Txt tone={danger ? 'danger' : 'ink'}>{title}</Txt>
        {detail !== undefined && (
          <Txt kind="small" tone="inkSoft">
            {detail}
          </Txt>
        )}
      </View>
    </Touch>
  );
}

interface QuestionProps {
  readonly open: boolean;
  readonly title: string;
  readonly text: string;
  readonly confirm: string;
  readonly danger?: boolean;
  readonly busy?: boolean;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}

/** Before what cannot be taken back. */
export function Question({ open, title, text, confirm, danger = false, busy = false, onConfirm, onClose, children }: QuestionProps): ReactElement {
  const t = useT();
  return (
    <Sheet open={open} onClose={onClose} title={title}>
      <View style={{ paddingHorizontal: space.xl, gap: space.l }}>
        <Txt tone="inkSoft">{text}</Txt>
        {children}
        <View style={{ gap: space.s }}>
          <Button label={confirm} look={danger ? 'danger' : 'main'} busy={busy} onPress={onConfirm} testID="confirm" />
          <Button label={t('action.cancel')} look="plain" onPress={onClose} />
        </View>
      </View>
    </Sheet>
  );
}
