/** Before every file of component tests: somebody is looking at the app. */
import { AppState } from 'react-native';

Object.defineProperty(AppState, 'currentState', { value: 'active', writable: true });
