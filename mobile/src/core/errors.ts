/** An error that carries a stable code, so that callers decide by type and never by message text. */
export class SottovoceError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A frame or answer of the relay that breaks docs/protocol.md. `where` is a path such as `envelopes[3].id`, never a value. */
export class Malformed extends SottovoceError {
  readonly where: string;

  constructor(where: string, expected: string) {
    super('malformed', `${where}: expected ${expected}`);
    this.where = where;
  }
}

/** No answer came: the network, the relay's host or its TLS. Whether the relay acted on the request is unknown. */
export class RelayUnreachable extends SottovoceError {
  constructor(message: string) {
    super('unreachable', message);
  }
}

/** The relay answered with a problem document (RFC 9457). */
export class RelayRefused extends SottovoceError {
  readonly status: number;
  /** Seconds, from `Retry-After`. */
  readonly retryAfterS: number | null;

  constructor(status: number, code: string, retryAfterS: number | null, fields: readonly string[] = []) {
    super(code, `the relay answered ${status} ${code}${fields.length > 0 ? ` (${fields.join(', ')})` : ''}`);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** The relay, or what it gave out, is not what the invite or a contact link vouched for. */
export class NotTrusted extends SottovoceError {}

/** Something a person asked for cannot be done; the message says what to do next. */
export class CannotDo extends SottovoceError {}
