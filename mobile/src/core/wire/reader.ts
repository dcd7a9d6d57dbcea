import { fromBase64url } from '../bytes.ts';
import { Malformed } from '../errors.ts';
import { isUuid } from '../uuid.ts';

/** A JSON object read field by field: what is missing or wrong raises Malformed with the place, never the value; the rest is ignored. */
export class Reader {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed(where, 'an object');
    this.#object = value as Record<string, unknown>;
    this.#where = where;
  }

  static fromJson(text: string, where: string): Reader {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Malformed(where, 'JSON');
    }
    return new Reader(value, where);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name) && this.#object[name] !== null;
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  at(name: string): string {
    return `${this.#where}.${name}`;
  }

  text(name: string): string {
    const value = this.#get(name);
    if (typeof value !== 'string') throw new Malformed(this.at(name), 'a text');
    return value;
  }

  /** Characters as JavaScript counts them. */
  shortText(name: string, least: number, most: number): string {
    const value = this.text(name);
    if (value.length < least || value.length > most) throw new Malformed(this.at(name), `a text of ${least} to ${most} characters`);
    return value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.text(name);
    const found = values.find((one) => one === value);
    if (found === undefined) throw new Malformed(this.at(name), `one of ${values.join(', ')}`);
    return found;
  }

  flag(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== 'boolean') throw new Malformed(this.at(name), 'true or false');
    return value;
  }

  integer(name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new Malformed(this.at(name), `an integer from ${least} to ${most}`);
    }
    return value;
  }

  uuid(name: string): string {
    const value = this.text(name);
    if (!isUuid(value)) throw new Malformed(this.at(name), 'a UUID');
    return value;
  }

  /** `size` in bytes; without one, any. */
  bytes(name: string, size?: number): Uint8Array {
    const value = fromBase64url(this.text(name), this.at(name));
    if (size !== undefined && value.length !== size) throw new Malformed(this.at(name), `${size} bytes`);
    return value;
  }

  /** A list of at most `most`, each of `size` bytes. */
  byteStrings(name: string, most: number, size: number): readonly Uint8Array[] {
    return this.list(name, most).map((item, index) => {
      const where = `${this.at(name)}[${index}]`;
      const value = typeof item === 'string' ? fromBase64url(item, where) : null;
      if (value?.length !== size) throw new Malformed(where, `${size} bytes`);
      return value;
    });
  }

  object(name: string): Reader {
    return new Reader(this.#get(name), this.at(name));
  }

  /** An object whose fields are judged elsewhere. */
  record(name: string): Readonly<Record<string, unknown>> {
    return this.object(name).#object;
  }

  list(name: string, most: number): readonly unknown[] {
    const value = this.#get(name);
    if (!Array.isArray(value) || value.length > most) throw new Malformed(this.at(name), `a list of at most ${most}`);
    return value;
  }

  objects(name: string, most: number): readonly Reader[] {
    return this.list(name, most).map((item, index) => new Reader(item, `${this.at(name)}[${index}]`));
  }

  uuids(name: string, most: number): readonly string[] {
    return this.list(name, most).map((item, index) => {
      if (typeof item !== 'string' || !isUuid(item)) throw new Malformed(`${this.at(name)}[${index}]`, 'a UUID');
      return item;
    });
  }
}
