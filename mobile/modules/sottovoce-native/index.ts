import { requireNativeModule } from 'expo';

import type { NativeModule } from '../../src/phone/native.ts';

/** Only on Android; elsewhere this throws, and nothing but src/phone/device.ts imports it. */
export const sottovoceModule = (): NativeModule => requireNativeModule<NativeModule>('Sottovoce');
