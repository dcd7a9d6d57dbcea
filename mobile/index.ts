/** Where the app begins: what React Native lacks is put in place before anything of ours is loaded. */
import './src/ui/globals';
import './src/phone/entry';
import 'expo-router/entry';
