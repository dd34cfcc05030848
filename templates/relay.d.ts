// Types for templates and source scripts, for your editor only: relay removes
// types without checking them. Put this file into your templates directory.

declare module "relay" {
  /** How much an event matters. */
  export type Level = "info" | "success" | "warn" | "error";

  /** Senders' ids are kept as they came. Integers above 2^53 arrive as strings. */
  export type ID = string | number;

  export interface Person {
    id?: ID;
    name?: string;
    email?: string;
    /** E.164, such as +8613800000000. */
    phone?: string;
    /** The person's own id at a provider: {"discord": "80351110224678912"}. */
    ids?: Record<string, string>;
  }

  export interface Project {
    id?: ID;
    name?: string;
    [key: string]: any;
  }

  export interface Issue {
    id?: ID;
    name?: string;
    status?: string;
    type?: string;
    description?: string;
    [key: string]: any;
  }

  /** What the app handed over. */
  export interface Event {
    /** The sender's key, or relay's own id where it gave none. */
    id: ID;
    /** Such as issue.created. */
    type: string;
    /** The app, such as bytebase. */
    source: string;
    /** RFC 3339. */
    time: string;
    level: Level;
    /** Plain text, at most 1,000 characters. */
    title: string;
    /** CommonMark. */
    description?: string;
    /** http or https. */
    link?: string;
    actor?: Person;
    project?: Project;
    issue?: Issue;
    recipients?: Person[];
    /** Whatever else the sender had to say. */
    data?: Record<string, any>;
  }

  /** Where the message goes. */
  export interface Context {
    /** The destination's name in relay.yaml. */
    destination: string;
    /** The name of the `providers` entry. */
    provider: string;
    /** True for a direct message. */
    direct: boolean;
    /** Who gets the direct message; null for a channel. */
    recipient: Person | null;
    /** Such as en or zh-CN. */
    language: string;
    /** Such as Asia/Shanghai; empty: relay's own. */
    time_zone: string;
    /** When the event was accepted, RFC 3339. Date.now() says the same. */
    now: string;
  }

  export interface Field {
    name: string;
    /** A field without a value is left out. */
    value?: string | number | boolean | null;
    /** Shown beside the next one where there is room. */
    short?: boolean;
  }

  export interface Action {
    text: string;
    /** An action without a URL is left out. */
    url?: string | null;
  }

  /**
   * The portable message. Every provider turns it into its own best form and
   * cuts what is too long. Only `text` is CommonMark, the rest is plain text.
   * Values that are undefined, null or empty are left out.
   */
  export interface Message {
    title?: string;
    text?: string;
    level?: Level;
    /** Where the title leads. */
    link?: string;
    fields?: (Field | null | undefined | false)[];
    actions?: (Action | null | undefined | false)[];
    image?: { url: string; alt?: string };
    footer?: string;
    /** People to call below the text; mention() calls them inside it. */
    mentions?: (Person | null | undefined | false)[];
  }

  /** What message() returns. */
  export interface PortableMessage extends Message {
    readonly $relay: 1;
  }

  /**
   * What a template's default export returns: a portable message, the
   * provider's own JSON, plain text, or null to skip the delivery.
   */
  export type Result = PortableMessage | object | string | null;

  /** Makes a portable message. */
  export function message(m: Message): PortableMessage;

  /**
   * Calls a person in `title`, `text`, `footer` or a field. Where the provider
   * does not know the person, the name is printed. Nothing for nobody.
   */
  export function mention(person: Person | string | null | undefined): string;

  /** CommonMark that shows a text as it is. */
  export function escape(text: string | number | null | undefined): string;

  /** Cuts a text to a number of characters, the mark … included. */
  export function truncate(text: string | null | undefined, characters: number): string;

  /**
   * Writes a time in the destination's time zone and language. Words of the
   * pattern: YYYY MMM MM M DD D dddd ddd HH H hh h A mm ss SSS, Z (+08:00) and
   * z (CST); what stands in [brackets] stays. Default: YYYY-MM-DD HH:mm z.
   */
  export function formatTime(time: string | number | Date | null | undefined, pattern?: string): string;

  /** The colour of a level, #RRGGBB. */
  export function color(level: Level | string): string;

  /**
   * The text of a key in the destination's language, from
   * locales/<language>.json, else in English, else the key. {name} in it is
   * replaced by vars.name.
   */
  export function t(key: string, vars?: Record<string, string | number | null | undefined>): string;

  /** The SHA-256 of a text's UTF-8, in hexadecimal. */
  export function sha256(text: string): string;

  /** What a source script's default export gets: one request of a sender. */
  export interface Request {
    /** By lower-case name. */
    headers: Record<string, string>;
    query: Record<string, string>;
    /** As it was sent. */
    body: string;
    /** The source's own settings in relay.yaml. */
    settings: Record<string, any>;
    /**
     * The body read as JSON, with ids above 2^53 as exact strings; or a text that
     * the body carries. Throws where it is none.
     */
    json(text?: string): any;
  }

  /** An event as a source makes it: relay fills in what is missing and checks it. */
  export type SourceEvent = Partial<Event> & Pick<Event, "type" | "title">;

  /** What a source script's default export returns. */
  export type SourceResult = SourceEvent | SourceEvent[] | { skip: string } | null;

  /** What a source script's export named answer gets. */
  export interface Outcome {
    /** The HTTP status that relay would answer with. */
    status: number;
    /** Empty where all went well. */
    error?: string;
    /** Why there is no event; empty where there is one. */
    skip?: string;
    events?: { id: string; deliveries: number; duplicate: boolean }[];
  }

  /** What it returns; null leaves the answer to relay. A body that is no string is sent as JSON. */
  export type Answer = { status?: number; content_type?: string; body?: any } | null;
}
