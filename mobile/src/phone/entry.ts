/** What must be registered before any screen is drawn: Android may start JavaScript for the mailbox alone. */
import { registerMailTask } from './this_phone.ts';

registerMailTask();
