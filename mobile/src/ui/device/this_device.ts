/** This phone: what the native module and its adapters give (src/phone), and files through Expo. */
import { Directory, File, Paths } from 'expo-file-system';

import { thisPhone } from '../../phone/this_phone.ts';
import { announce } from '../frame/announcer';
import { phoneLanguages } from '../frame/system';
import { chooseLanguage } from '../i18n/languages';
import { translator } from '../i18n/words';
import type { Device } from './device';

let announcing = false;

const preferences = (): File => new File(Paths.document, 'preferences.json');

export const device: Device = {
  ...thisPhone(),
  async openMessenger() {
    const messenger = await thisPhone().openMessenger();
    if (!announcing) {
      announcing = true;
      announce(messenger, device, translator(chooseLanguage(phoneLanguages())));
    }
    return messenger;
  },
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
