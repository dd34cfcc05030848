// Backlog's webhook. It says nothing of where the space is: set space_url, so
// that messages can link to it. It sends no email addresses either: people in
// relay.yaml says who its users are, by `backlog: "<numeric id>"`.
import { escape, sha256, type Level, type Person, type Request, type SourceResult } from "relay";
import { everybody, given, id, isObject, kept, line, linked, list, link as url, lower, markdown, payload, plural, text, time, title } from "../lib/source";

const types: Record<number, string> = {
  1: "issue.created",
  2: "issue.updated", // issue.status_changed where its status is among the changes
  3: "issue.comment_created",
  4: "issue.deleted",
  5: "wiki.created",
  6: "wiki.updated",
  7: "wiki.deleted",
  8: "file.added",
  9: "file.updated",
  10: "file.deleted",
  11: "svn.committed",
  12: "git.pushed",
  13: "git.repository_created",
  14: "issue.bulk_updated",
  15: "project.member_added",
  16: "project.member_removed",
  17: "issue.notification_added",
  18: "pull_request.created",
  19: "pull_request.updated",
  20: "pull_request.comment_created",
  21: "pull_request.merged",
  22: "milestone.created",
  23: "milestone.updated",
  24: "milestone.deleted",
  25: "project.team_added",
  26: "project.team_removed",
  34: "status.deleted",
  35: "issue.dates_updated",
  36: "document.created",
  37: "document.updated",
  38: "document.deleted",
  47: "issue.bulk_created",
  48: "document.bulk_created",
};

// What a change of an issue says by number.
const names: Record<string, Record<string, string>> = {
  status: { 1: "Open", 2: "In Progress", 3: "Resolved", 4: "Closed" },
  priority: { 2: "High", 3: "Normal", 4: "Low" },
  resolution: { 0: "Fixed", 1: "Won't Fix", 2: "Invalid", 3: "Duplicate", 4: "Cannot Reproduce" },
};

export default function (request: Request): SourceResult {
  const { id: key, project, type, content, notifications, createdUser, created, ...rest } = payload(request);
  const c: Record<string, any> = isObject(content) ? content : {};
  const number = Number(said(type) ?? NaN);
  const kind = kindOf(number, c);
  const space = text(request.settings.space_url).replace(/\/+$/, "");
  const projectKey = text(said(project?.projectKey)) || undefined;
  const issueKey = text(said(c.key_id)) && projectKey ? `${projectKey}-${text(c.key_id)}` : undefined;

  const event: any = { id: id(key) ?? sha256(request.body), type: kind, level: level(kind, c), title: heading(number, kind, c, issueKey) };
  // Where the project writes Markdown, what people wrote is Markdown.
  const written = (v: any) => (lower(project?.textFormattingRule) === "markdown" ? text(said(v)).trim() : escape(text(said(v)).trim()));
  event.description = markdown([...details(number, c, space, projectKey), ...[c.comment?.content, c.comment?.content === undefined ? c.description : undefined].map(written)].filter(Boolean).join("\n\n"));
  const place = space && where(number, c, projectKey, issueKey);
  if (place) event.link = url(space + place);
  event.time = time(created);
  event.actor = person(createdUser);
  event.project = kept({ id: id(said(project?.id)), name: text(said(project?.name)) || projectKey, key: projectKey });
  if (kind.startsWith("issue.") && issueKey) {
    event.issue = kept({ id: issueKey, name: text(said(c.summary)), status: status(c), type: text(said(c.issueType?.name)) });
  }
  event.recipients = everybody([person(c.assignee), ...list(notifications).map((n) => person(n?.user))], event.actor);
  event.data = { ...rest, type, content };
  for (const name of Object.keys(event)) if (event[name] === undefined) delete event[name];
  return event;
}

function kindOf(number: number, c: Record<string, any>): string {
  if (number === 2 && list(c.changes).some((change) => change?.field === "status")) return "issue.status_changed";
  return types[number] ?? (Number.isInteger(number) && number >= 0 ? `backlog.type_${number}` : "backlog.event");
}

// A value that may be the word for none, as some of its fields are.
function said(v: any): any {
  return given(v) && v !== "null" ? v : undefined;
}

function person(user: any): Person | undefined {
  if (!isObject(user)) return undefined;
  return kept({ id: id(said(user.id)), name: text(said(user.name)), email: text(said(user.mailAddress)) });
}

function changed(c: Record<string, any>, field: string): any {
  return list(c.changes).find((change) => change?.field === field)?.new_value;
}

function status(c: Record<string, any>): string {
  const value = text(said(changed(c, "status")) ?? said(c.status?.id) ?? said(c.status?.name));
  return text(said(c.status?.name)) || (names.status[value] ?? value);
}

function level(kind: string, c: Record<string, any>): Level {
  if (kind === "pull_request.merged") return "success";
  if (kind === "issue.status_changed" && ["Resolved", "Closed"].includes(status(c))) return "success";
  return /\.(team_|member_)?(deleted|removed)$/.test(kind) ? "warn" : "info";
}

// Titles of what relay's templates know stand beside what happened; the others
// say it themselves.
function heading(number: number, kind: string, c: Record<string, any>, issueKey?: string): string {
  const issue = [issueKey, text(said(c.summary))].filter(Boolean).join(" ");
  const repository = text(said(c.repository?.name));
  const request = `#${text(said(c.number))} ${text(said(c.summary))}`.trim();
  const path = text(said(c.dir)) + text(said(c.name));
  const issues = plural(list(c.link).length, "issue");
  const people = [...list(c.users), ...list(c.parties)].map((p) => text(p?.name)).filter(Boolean).join(", ");
  const words: Record<number, string> = {
    4: `Issue deleted: ${issueKey}`,
    5: `Wiki page created: ${text(c.name)}`,
    6: `Wiki page updated: ${text(c.name)}`,
    7: `Wiki page deleted: ${text(c.name)}`,
    8: `File added: ${path}`,
    9: `File updated: ${path}`,
    10: `File deleted: ${path}`,
    11: `SVN commit r${text(c.rev)}: ${text(c.comment)}`,
    12: `${plural(Number(said(c.revision_count)) || list(c.revisions).length, "commit")} pushed to ${repository} ${text(c.ref).replace(/^refs\/(heads|tags)\//, "")}`,
    13: `Git repository created: ${repository}`,
    14: `${issues} updated`,
    15: `Joined the project: ${people}`,
    16: `Left the project: ${people}`,
    17: `Notification: ${issue}`,
    18: `Pull request created: ${request}`,
    19: `Pull request updated: ${request}`,
    20: `Comment on pull request ${request}`,
    21: `Pull request merged: ${request}`,
    22: `Milestone created: ${text(c.name)}`,
    23: `Milestone updated: ${text(c.name)}`,
    24: `Milestone deleted: ${text(c.name)}`,
    25: `Team added to the project: ${people}`,
    26: `Team removed from the project: ${people}`,
    34: `Status deleted: ${text(c.deletedStatus?.name)}`,
    35: `Issue dates updated: ${issue}`,
    36: `Document created: ${text(c.title)}`,
    37: `Document updated: ${text(c.title)}`,
    38: `Document deleted: ${text(c.title)}`,
    47: `${issues} created`,
    48: `${plural(list(c.documents).length, "document")} created`,
  };
  return title(number > 3 ? words[number] : issue, c.summary, c.title, c.name, `Backlog: ${kind}`);
}

// What the reader should see of an event beside its words.
function details(number: number, c: Record<string, any>, space: string, projectKey?: string): string[] {
  const changes = list(c.changes).filter(isObject).map((change) => {
    const field = text(change.field);
    const word = (v: any) => (given(said(v)) ? line(names[field]?.[text(v)] ?? v) : "–");
    const before = change.old_value === undefined ? "" : word(change.old_value) + " → ";
    return `- **${line(said(change.field_text) ?? field)}**: ${before}${word(change.new_value)}`;
  });
  const issues = list(c.link).filter(isObject).map((issue) => {
    const key = `${projectKey ?? ""}-${text(issue.key_id)}`;
    return `- ${linked(key, space && `${space}/view/${key}`)} ${line(issue.title)}`;
  });
  const commits = list(c.revisions).filter(isObject).map((r) => `- \`${text(r.rev).replace(/[^0-9a-zA-Z]/g, "").slice(0, 10)}\` ${line(r.comment)}`);
  const files = list(c.attachments).filter(isObject).map((f) => `- ${line(f.name)}`);
  return [changes, number === 14 || number === 47 ? issues : [], commits, files].filter((lines) => lines.length > 0).map((lines) => lines.slice(0, 20).join("\n"));
}

// The page that an event is about, below the space.
function where(number: number, c: Record<string, any>, projectKey?: string, issueKey?: string): string | undefined {
  const comment = said(c.comment?.id) ? `#comment-${text(c.comment.id)}` : "";
  const project = encodeURIComponent(projectKey ?? "");
  const repository = `/git/${project}/${encodeURIComponent(text(c.repository?.name))}`;
  if (issueKey && number !== 4 && number < 18) return `/view/${encodeURIComponent(issueKey)}${comment}`;
  if (number === 5 || number === 6) return said(c.id) && `/alias/wiki/${encodeURIComponent(text(c.id))}`;
  if (number === 12 || number === 13) return repository;
  if (number >= 18 && number <= 21) return `${repository}/pullRequests/${encodeURIComponent(text(c.number))}${comment}`;
  return projectKey ? `/projects/${project}` : undefined;
}
