// GitLab's webhooks, of a project or a group. Put a token into the URL
// (?token=…), or into a custom header (Authorization: Bearer …). People are
// found by `gitlab: <user name>`.
import { sha256, type Level, type Person, type Request, type SourceResult } from "relay";
import { everybody, id, isObject, kept, line, linked, link, list, lower, markdown, payload, plural, text, time, title, typed } from "../lib/source";

export default function (request: Request): SourceResult {
  const body = payload(request);
  const kind = text(body.object_kind ?? body.event_type);
  if (kind === "") throw new TypeError("the body has no object_kind; is it a webhook of GitLab's?");
  const made = (events[kind] ?? other)(body, kind);
  if ("skip" in made) return made as { skip: string };

  const event: any = { ...made };
  // GitLab sends the same Idempotency-Key with every try; older ones send none.
  if (!request.headers["idempotency-key"]) event.id = sha256(request.body);
  const object = body.object_attributes ?? {};
  event.title = title(event.title, kind);
  event.description = markdown(event.description);
  event.link = link(event.link) ?? link(object.url) ?? link(body.project?.web_url);
  event.time = time(event.time ?? object.updated_at ?? object.created_at);
  event.actor = person(body.user) ?? person({ id: body.user_id, name: body.user_name, username: body.user_username, email: body.user_email });
  if (isObject(body.project)) event.project = kept({ id: id(body.project.id), name: text(body.project.path_with_namespace) || text(body.project.name) });
  event.recipients = everybody(list(event.recipients), event.actor);
  event.data = { kind, action: text(object.action), ...event.data };
  for (const key of Object.keys(event)) if (event[key] === undefined) delete event[key];
  return event;
}

type Made = { type: string; title: string; level?: Level; [key: string]: any } | { skip: string };

const events: Record<string, (body: Record<string, any>, kind: string) => Made> = {
  push,
  tag_push: push,
  issue,
  work_item: issue,
  note(body) {
    const note = body.object_attributes ?? {};
    const on = body.merge_request ?? body.issue ?? {};
    const request = isObject(body.merge_request);
    const where = on.iid === undefined ? text(note.noteable_type) : `${request ? "!" : "#"}${text(on.iid)} ${text(on.title)}`;
    return {
      type: request ? "pull_request.comment_created" : isObject(body.issue) ? "issue.comment_created" : "comment.created",
      title: isObject(body.issue) ? where : `Comment on ${where}`,
      description: note.note,
      link: note.url,
      issue: isObject(body.issue) ? about(body.issue) : undefined,
    };
  },
  merge_request(body) {
    const request = body.object_attributes ?? {};
    const words: Record<string, string> = { open: "created", close: "closed", reopen: "reopened", merge: "merged", approved: "approved", approval: "approved" };
    const what = words[text(request.action)] ?? (request.action === undefined && request.state === "opened" ? "created" : "updated");
    return {
      type: `pull_request.${what}`,
      level: what === "merged" || what === "approved" ? "success" : "info",
      title: `Merge request ${what}: !${text(request.iid)} ${text(request.title)}`,
      description: what === "created" ? request.description : undefined,
      issue: about(request),
      recipients: what === "created" ? [...list(body.reviewers), ...list(body.assignees)].map(person) : list(body.assignees).map(person),
      data: { base: text(request.target_branch), head: text(request.source_branch) },
    };
  },
  pipeline(body) {
    const run = body.object_attributes ?? {};
    const state = lower(run.status);
    const known: Record<string, [string, Level]> = {
      success: ["build.completed", "success"],
      failed: ["build.failed", "error"],
      canceled: ["build.canceled", "warn"],
    };
    if (!Object.hasOwn(known, state)) return { skip: `a pipeline is ${state || "somewhere"}` };
    const [type, level] = known[state];
    const failed = list(body.builds).filter((b) => b?.status === "failed" && b.allow_failure !== true);
    return {
      type,
      level,
      title: `Pipeline #${text(run.id)} ${state}: ${text(run.ref)}`,
      description: [...failed.map((b) => `- ${line(b.stage)}: **${line(b.name)}** failed`), line(text(body.commit?.title ?? body.commit?.message).split("\n")[0])].filter(Boolean).join("\n\n"),
      link: run.url ?? (link(body.project?.web_url) && `${body.project.web_url}/-/pipelines/${text(run.id)}`),
      time: run.finished_at ?? run.created_at,
      recipients: state === "failed" ? [kept({ name: text(body.commit?.author?.name), email: mail(body.commit?.author?.email) })] : [],
      data: { branch: text(run.ref), commit: text(run.sha) },
    };
  },
  release(body) {
    if (text(body.action) !== "create") return { skip: `a release was changed (${text(body.action)})` };
    return { type: "release.published", level: "success", title: `Release ${text(body.name) || text(body.tag)}`, description: body.description, link: body.url, time: body.released_at ?? body.created_at };
  },
  wiki_page(body) {
    const page = body.object_attributes ?? {};
    const words: Record<string, string> = { create: "created", update: "updated", delete: "deleted" };
    const what = words[text(page.action)] ?? "updated";
    return { type: `wiki.${what}`, level: what === "deleted" ? "warn" : "info", title: `Wiki page ${what}: ${text(page.title)}`, description: line(page.message) };
  },
};

function push(body: Record<string, any>): Made {
  const ref = text(body.ref).replace(/^refs\/(heads|tags)\//, "");
  const project = text(body.project?.name);
  if (/^0+$/.test(text(body.after))) return { type: "git.ref_deleted", level: "warn", title: `${ref} deleted in ${project}` };
  const commits = list(body.commits).filter(isObject);
  const count = Number(body.total_commits_count) || commits.length;
  if (text(body.object_kind) === "tag_push") return { type: "git.tag_pushed", title: `Tag ${ref} pushed to ${project}`, description: line(body.message) };
  if (count === 0) return { skip: "a push without commits" };
  return {
    type: "git.pushed",
    title: `${plural(count, "commit")} pushed to ${project} ${ref}`,
    description: commits.slice(-20).map((c) => `- ${linked(text(c.id).slice(0, 8), c.url)} ${line(text(c.title ?? c.message).split("\n")[0])} – ${line(c.author?.name)}`).join("\n"),
    link: link(body.project?.web_url) && `${body.project.web_url}/-/commits/${encodeURIComponent(ref)}`,
    time: commits[commits.length - 1]?.timestamp,
    data: { ref },
  };
}

function issue(body: Record<string, any>): Made {
  const one = body.object_attributes ?? {};
  const action = text(one.action);
  const types: Record<string, string> = { open: "issue.created", close: "issue.status_changed", reopen: "issue.status_changed" };
  return {
    type: types[action] ?? "issue.updated",
    level: action === "close" ? "success" : "info",
    title: `#${text(one.iid)} ${text(one.title)}`,
    description: action === "open" ? one.description : undefined,
    issue: about(one),
    recipients: list(body.assignees).map(person),
  };
}

function other(body: Record<string, any>, kind: string): Made {
  const action = text(body.object_attributes?.action ?? body.action);
  return {
    type: typed(["gitlab", kind, action].filter(Boolean).join("."), "gitlab.event"),
    title: `${[kind, action].filter(Boolean).join(" ").replace(/_/g, " ")} in ${text(body.project?.path_with_namespace ?? body.project?.name)}`,
  };
}

function about(issue: Record<string, any>) {
  return kept({ id: id(issue.iid), name: text(issue.title), status: text(issue.state).toUpperCase() });
}

function person(user: any): Person | undefined {
  if (!isObject(user) || !(text(user.username) || text(user.name))) return undefined;
  const login = text(user.username);
  return kept({ id: id(user.id), name: text(user.name) || login, email: mail(user.email), ids: login ? { gitlab: login } : undefined });
}

// GitLab writes [REDACTED] where an address is private.
function mail(v: any): string | undefined {
  return /^[^@\s]+@[^@\s]+$/.test(text(v)) ? text(v) : undefined;
}
