// What `relay destinations test` sends.
import { t, type Context, type Event } from "relay";
import { eventMessage } from "./lib/event";

export default function (event: Event, ctx: Context) {
  return eventMessage(event, ctx, {
    what: t("relay.test"),
    direct: "relay.test.direct",
    text: t(ctx.direct ? "relay.test.direct.text" : "relay.test.text", { destination: ctx.destination }),
  });
}
