/** Where the app begins: what React Native lacks is put in place before anything of ours is loaded. */
import './src/ui/globals';
import 'expo-router/entry';
