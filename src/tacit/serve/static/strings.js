// Every word the pages say, in one place: to translate them, translate this file.
export const strings = {
  name: "Tacit",
  skip: "Skip to your message",
  chat_title: "Tacit: tell me what you feel like",
  new_chat: "New chat",
  your_data: "Your data",
  back: "Back to the chat",
  side_by_side: "Compare two answers",
  conversation: "Conversation",
  hello: "What do you feel like?",
  hello_more: "Say it in your own words: what you liked, what you are tired of, who is watching with you.",
  wishes: ["Something like Heat, but funnier", "A quiet film for a rainy Sunday", "I loved Alien. No more gore, please"],
  you: "You",
  answer: "Recommender",
  answer_named: (letter) => `Answer ${letter}`,
  placeholder: "Type a wish…",
  message: "Your message",
  send: "Send",
  stop: "Stop",
  keys: "Enter sends · Shift + Enter starts a new line · / jumps here · Esc stops an answer",
  writing: "Writing…",
  stopped: "Stopped.",
  failed: "That did not work.",
  busy: (seconds) => `There is a queue just now. Try again in ${seconds} s.`,
  offline: "The server cannot be reached. What you typed is back in the box.",
  again: "Try again",
  items: "Recommended",
  no_details: "Nothing more is known about it.",
  more_like_this: "More like this",
  not_for_me: "Not for me",
  seen_it: "Seen it",
  about: (action, title) => `${action}: ${title}`,
  more_wish: (title) => `More like ${title}`,
  noted: {
    not_for_me: "Noted: not for you.", seen_it: "Noted: you have seen it.", more_like_this: "Noted: more like this.",
  },
  which: "Which answer do you like better?",
  better: (letter) => `${letter} is better`,
  same: "About the same",
  picked: "Your pick",
  thanks: "Thank you. We go on from there.",
  consent_title: "May this chat be kept?",
  consent_text:
    "If you agree, what you say, what was shown and what you looked at is stored under a random name, so that the " +
    "recommender can learn from it or know you next time. Until you agree, nothing is stored.",
  consent_gpc:
    "Your browser asks sites not to use your data (Global Privacy Control). So nothing is learnt from you; you can still " +
    "have your chats kept for yourself.",
  consent_train: "Keep it and learn from it",
  consent_store: "Keep it for me only",
  consent_none: "Store nothing",
  status: { train: "Kept, and learnt from", store: "Kept for you only", none: "Nothing is stored" },
  consent_failed: "Your choice could not be saved, so nothing is stored. Try again.",

  mine_title: "Tacit: what is stored about you",
  mine_heading: "What is stored about you",
  mine_none: "Nothing is stored about you.",
  mine_none_more: "This browser has no name with us. If you agree in the chat that it may be kept, it shows up here.",
  mine_as: (user) => `You are known here only as ${user}. Your name, address and browser are not stored.`,
  mine_choice: "Your choice",
  mine_counts: "In numbers",
  mine_names: {
    sessions: "Conversations", exposures: "Answers shown to you", events: "Reports of your page",
  },
  mine_talks: "What was said",
  mine_all: "Everything, as it is stored",
  mine_save: "Save as a file",
  mine_delete: "Delete all of it",
  mine_sure: "Delete everything that is stored about you?",
  mine_sure_more: "It cannot be brought back. Models that learnt from it already are not changed by this.",
  mine_yes: "Delete it",
  mine_no: "Keep it",
  mine_deleted: "Deleted. Nothing is stored about you any more.",
  loading: "Loading…",

  dashboard_title: "Tacit: dashboard",
  dashboard_heading: "Dashboard",
  token_label: "Operator's token",
  token_help: "Made by tacit serve RUN --new-token NAME --scope admin. It stays in this tab.",
  token_open: "Open",
  token_wrong: "This token may not read the figures.",
  period: "Period",
  periods: { 24: "24 hours", 168: "7 days" },
  live: (time) => `Live, as of ${time}`,
  lost: (time) => `No answer from the server since ${time}`,
  quiet: "Nothing has happened in this period.",
  log_down: "The log cannot be written: slates are shown without being logged.",
  log_fine: "The log is written",
  policy_now: (version) => `Policy ${version}`,
  catalog_now: (version) => `Catalogue ${version}`,
  waiting_now: (chat, log) => `Waiting: ${chat} chats, ${log} log records`,
  tiles: {
    conversations: "Conversations", turns: "Turns", slates: "Slates", clicks: "Clicks a slate",
    dwell: "Seconds in view a slate", rejections: "Rejections a slate", explore: "Explore share",
    first: "First byte, median", errors: "Errors and shed events",
  },
  charts: {
    conversations: "Conversations", slates: "Slates shown", clicks: "Clicks",
    dwell: "Time in view, s a slate", rejections: "Rejections", latency: "First byte, ms", explore: "Explore share, %",
    versions: "Turns by policy version",
  },
  quantiles: { p50: "Median", p95: "95 %" },
  an_hour: (when, what) => `${when}: ${what}`,
  table: "The figures as a table",
  hour: "Hour",
  columns: {
    conversations: "Conversations", turns: "Turns", slates: "Slates", explored: "Explored", clicks: "Clicks", likes: "Likes",
    rejections: "Rejections", votes: "Votes", events: "Events", shed: "Shed", errors: "Errors",
  },
};

/** Fills every element that has `data-text` (its words) or `data-label` (its accessible name). */
export function say(root = document) {
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = strings[node.dataset.text];
  for (const node of root.querySelectorAll("[data-label]")) node.setAttribute("aria-label", strings[node.dataset.label]);
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = strings[node.dataset.hint];
}

/** An element with attributes and children: texts stay texts, whatever is in them. */
export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}
