// Grafana Alerting's webhook contact point. Settings: split: true makes one
// event of every alert, which destinations can then match by data.labels.
import { type Request, type SourceResult } from "relay";
import { alertEvents } from "../lib/alerts";
import { link } from "../lib/source";

export default function (request: Request): SourceResult {
  return alertEvents(request, { page: (alert) => link(alert.panelURL) ?? link(alert.dashboardURL) ?? link(alert.generatorURL) });
}
