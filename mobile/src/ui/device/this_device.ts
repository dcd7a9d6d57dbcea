/** This phone: what the native module and its adapters give (src/phone), and files through Expo. */
import { Directory, File, Paths } from 'expo-file-system';

import { thisPhone } from '../../phone/this_phone.ts';
import type { Device } from './device';

const preferences = (): File => new File(Paths.document, 'preferences.json');

export const device: Device = {
  ...thisPhone(),
  preferences: {
    read: async () => (preferences().exists ? preferences().text() : null),
    write: async (text) => preferences().write(text),
  },
  files: {
    temporary: async () => new File(Paths.cache, 'sottovoce.archive').uri,
    async saveAs(file, name) {
      const folder = await Directory.pickDirectoryAsync();
      const target = folder.createFile(name, 'application/octet-stream');
      new File(file).copySync(target);
      return target.uri;
    },
    async choose() {
      const { canceled, result } = await File.pickFileAsync();
      return canceled ? null : result.uri;
    },
    async remove(file) {
      new File(file).delete();
    },
  },
};
