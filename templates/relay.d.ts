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
   * provider's own JSON, plain text, or null to skip the delivery. Name the
   * provider's type to have its JSON checked while you write:
   * `export default function (event: Event, ctx: Context): Result<SlackMessage>`
   */
  export type Result<Native extends object = object> = PortableMessage | Native | string | null;

  /** A template's default export: `const template: Template<SlackMessage> = (event) => …`. */
  export type Template<Native extends object = object> = (event: Event, ctx: Context) => Result<Native> | Promise<Result<Native>>;

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

  // What providers take beside portable messages. Each is checked against the
  // vendor's limits before it is sent; keys that are not listed here are sent
  // as they are.

  /** Slack: a message of Block Kit. */
  export interface SlackMessage {
    /** mrkdwn; with blocks it is what notifications show. */
    text?: string;
    /** At most 50. */
    blocks?: SlackBlock[];
    attachments?: { color?: string; fallback?: string; blocks?: SlackBlock[]; [key: string]: any }[];
    unfurl_links?: boolean;
    unfurl_media?: boolean;
    [key: string]: any;
  }
  export interface SlackText {
    type: "plain_text" | "mrkdwn";
    text: string;
    emoji?: boolean;
    verbatim?: boolean;
  }
  export interface SlackButton {
    type: "button";
    text: SlackText & { type: "plain_text" };
    url?: string;
    action_id?: string;
    value?: string;
    style?: "primary" | "danger";
    [key: string]: any;
  }
  export interface SlackImage {
    type: "image";
    image_url: string;
    alt_text: string;
  }
  export type SlackBlock =
    | { type: "header"; text: SlackText & { type: "plain_text" }; block_id?: string }
    /** One of text and fields; at most 10 fields. */
    | { type: "section"; text?: SlackText; fields?: SlackText[]; accessory?: SlackButton | SlackImage | Record<string, any>; block_id?: string; expand?: boolean }
    | { type: "context"; elements: (SlackText | SlackImage)[]; block_id?: string }
    | { type: "actions"; elements: (SlackButton | Record<string, any>)[]; block_id?: string }
    | { type: "divider"; block_id?: string }
    | { type: "image"; image_url: string; alt_text: string; title?: SlackText; block_id?: string }
    | { type: "markdown"; text: string; block_id?: string }
    | { type: "rich_text"; elements: Record<string, any>[]; block_id?: string }
    | { type: "table" | "video" | "file" | "input"; [key: string]: any };

  /** Discord: what an incoming webhook executes. */
  export interface DiscordMessage {
    /** At most 2,000 characters. */
    content?: string;
    /** At most 10, and 6,000 characters in all. */
    embeds?: DiscordEmbed[];
    username?: string;
    avatar_url?: string;
    thread_name?: string;
    flags?: number;
    /** Without it nobody is called. */
    allowed_mentions?: { parse?: ("users" | "roles" | "everyone")[]; users?: string[]; roles?: string[]; replied_user?: boolean };
    components?: Record<string, any>[];
    poll?: Record<string, any>;
    [key: string]: any;
  }
  export interface DiscordEmbed {
    title?: string;
    description?: string;
    url?: string;
    timestamp?: string;
    /** 0xRRGGBB, a number. */
    color?: number;
    author?: { name: string; url?: string; icon_url?: string };
    /** At most 25. */
    fields?: { name: string; value: string; inline?: boolean }[];
    image?: { url: string };
    thumbnail?: { url: string };
    footer?: { text: string; icon_url?: string };
    [key: string]: any;
  }

  /** Teams: an Adaptive Card, or the message around one. */
  export type TeamsMessage = AdaptiveCard | TeamsEnvelope;
  export interface TeamsEnvelope {
    type: "message";
    text?: string;
    attachments?: { contentType: "application/vnd.microsoft.card.adaptive"; contentUrl?: string | null; content: AdaptiveCard }[];
    [key: string]: any;
  }
  export interface AdaptiveCard {
    type: "AdaptiveCard";
    $schema?: string;
    /** Workflows show up to 1.5. */
    version: string;
    body?: AdaptiveElement[];
    actions?: AdaptiveAction[];
    msteams?: { width?: "Full"; entities?: { type: "mention"; text: string; mentioned: { id: string; name: string } }[]; [key: string]: any };
    [key: string]: any;
  }
  export type AdaptiveElement =
    | {
        type: "TextBlock";
        text: string;
        wrap?: boolean;
        weight?: "Lighter" | "Default" | "Bolder";
        size?: "Small" | "Default" | "Medium" | "Large" | "ExtraLarge";
        color?: "Default" | "Dark" | "Light" | "Accent" | "Good" | "Warning" | "Attention";
        isSubtle?: boolean;
        [key: string]: any;
      }
    | { type: "FactSet"; facts: { title: string; value: string }[]; [key: string]: any }
    | { type: "Image"; url: string; altText?: string; [key: string]: any }
    | { type: "Container"; items: AdaptiveElement[]; style?: "default" | "emphasis" | "good" | "attention" | "warning" | "accent"; [key: string]: any }
    | { type: "ColumnSet"; columns?: { type?: "Column"; width?: string | number; items?: AdaptiveElement[]; [key: string]: any }[]; [key: string]: any }
    | { type: "ActionSet"; actions: AdaptiveAction[]; [key: string]: any }
    | { type: "RichTextBlock" | "ImageSet" | "Table" | "Media" | "CodeBlock"; [key: string]: any };
  export type AdaptiveAction =
    | { type: "Action.OpenUrl"; title?: string; url: string; style?: "default" | "positive" | "destructive"; [key: string]: any }
    | { type: "Action.ShowCard" | "Action.ToggleVisibility" | "Action.Submit" | "Action.Execute"; title?: string; [key: string]: any };

  /** DingTalk: a message of a custom robot. */
  export type DingTalkMessage = { at?: { atMobiles?: string[]; atUserIds?: string[]; isAtAll?: boolean }; msgUuid?: string } & (
    | { msgtype: "text"; text: { content: string } }
    | { msgtype: "markdown"; markdown: { title: string; text: string } }
    | { msgtype: "link"; link: { title: string; text: string; messageUrl: string; picUrl?: string } }
    | {
        msgtype: "actionCard";
        /** singleTitle and singleURL, or btns. */
        actionCard: {
          title: string;
          text: string;
          singleTitle?: string;
          singleURL?: string;
          btnOrientation?: "0" | "1";
          btns?: { title: string; actionURL: string }[];
        };
      }
    | { msgtype: "feedCard"; feedCard: { links: { title: string; messageURL: string; picURL: string }[] } }
  );

  /** Feishu and Lark: a message of a custom bot, or a card alone. */
  export type FeishuMessage =
    | { msg_type: "text"; content: { text: string } }
    | { msg_type: "post"; content: { post: Record<string, { title?: string; content: FeishuPart[][] }> } }
    | { msg_type: "image"; content: { image_key: string } }
    | { msg_type: "share_chat"; content: { share_chat_id: string } }
    | { msg_type: "interactive"; card: FeishuCard }
    | FeishuCard;
  export type FeishuPart =
    | { tag: "text"; text: string; un_escape?: boolean }
    | { tag: "a"; text: string; href: string }
    | { tag: "at"; user_id: string; user_name?: string }
    | { tag: "img"; image_key: string };
  export interface FeishuCard {
    /** "2.0"; without it the older form, with elements instead of body. */
    schema?: "2.0";
    config?: Record<string, any>;
    header?: {
      title: { tag: "plain_text" | "lark_md"; content: string };
      subtitle?: { tag: "plain_text" | "lark_md"; content: string };
      template?: "blue" | "wathet" | "turquoise" | "green" | "yellow" | "orange" | "red" | "carmine" | "violet" | "purple" | "indigo" | "grey" | "default";
      [key: string]: any;
    };
    body?: { elements: FeishuElement[]; [key: string]: any };
    elements?: FeishuElement[];
    i18n_elements?: Record<string, FeishuElement[]>;
    card_link?: { url: string; [key: string]: any };
    /** A card of the vendor's card builder. */
    type?: "template";
    data?: { template_id: string; template_version_name?: string; template_variable?: Record<string, any> };
  }
  export interface FeishuElement {
    tag: string;
    [key: string]: any;
  }

  /** WeCom: a message of a group robot, or of an app to a person. */
  export type WeComMessage =
    | { msgtype: "text"; text: { content: string; mentioned_list?: string[]; mentioned_mobile_list?: string[] } }
    | { msgtype: "markdown"; markdown: { content: string } }
    | { msgtype: "markdown_v2"; markdown_v2: { content: string } }
    | { msgtype: "image"; image: { base64: string; md5: string } | { media_id: string } }
    | { msgtype: "news"; news: { articles: { title: string; url?: string; description?: string; picurl?: string; [key: string]: any }[] } }
    | { msgtype: "file"; file: { media_id: string } }
    | { msgtype: "voice"; voice: { media_id: string } }
    | { msgtype: "textcard"; textcard: { title: string; description: string; url: string; btntxt?: string } }
    | { msgtype: "template_card"; template_card: WeComCard }
    | { msgtype: "mpnews" | "video" | "miniprogram_notice"; [key: string]: any };
  export interface WeComCard {
    /** Robots take the first two. */
    card_type: "text_notice" | "news_notice" | "button_interaction" | "vote_interaction" | "multiple_interaction";
    source?: { icon_url?: string; desc?: string; desc_color?: number };
    main_title?: { title?: string; desc?: string };
    emphasis_content?: { title?: string; desc?: string };
    quote_area?: Record<string, any>;
    sub_title_text?: string;
    /** At most 6. */
    horizontal_content_list?: { keyname: string; value?: string; type?: number; url?: string; [key: string]: any }[];
    jump_list?: { type?: number; title: string; url?: string; [key: string]: any }[];
    card_action?: { type: number; url?: string; [key: string]: any };
    [key: string]: any;
  }

  /** The custom provider with `format: cloudevents`; its other formats take any object. */
  export interface CloudEvent {
    specversion: "1.0";
    id: string;
    source: string;
    type: string;
    time?: string;
    subject?: string;
    datacontenttype?: string;
    data?: any;
    [extension: string]: any;
  }

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
