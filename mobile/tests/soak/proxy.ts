/** A wire between one client and the relay that can be cut: every connection breaks at once, as when a phone changes networks. */
import net from 'node:net';
import type { AddressInfo } from 'node:net';

export class Wire {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = net.createServer((near) => {
      const far = net.connect(target.port, target.host);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  static async to(url: string): Promise<Wire> {
    const { hostname, port } = new URL(url);
    const wire = new Wire({ host: hostname, port: Number(port) });
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
