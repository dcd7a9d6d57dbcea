/** The headless client's entry. */
import { EXIT } from './command.ts';
import { WEBRTC_SETTLES_MS, webrtcIsLoaded } from '../node/peer_connections.ts';
import { runCommandLine } from './command_line.ts';

// A reader that goes away (| head) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});
const code = await runCommandLine(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
process.exitCode = code;
// A process in which libwebrtc ran crashes when it ends by itself, in the destructors of native objects; not when it is ended a moment later.
if (webrtcIsLoaded()) setTimeout(() => process.exit(code), WEBRTC_SETTLES_MS);
