/* What the page does beyond showing: theme, code, filters, search, enlarging, sliders. Without it everything is there. */
"use strict";
const page = document.documentElement;
const kept = {
  get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
  set: (name) => { try { localStorage.setItem("theme", name); } catch { /* not kept, then */ } },
};
const THEMES = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
page.classList.add("script");
if (kept.get()) page.dataset.theme = kept.get();

document.addEventListener("DOMContentLoaded", () => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];

  const button = document.querySelector("button.theme");
  const named = () => { button.textContent = THEMES[page.dataset.theme || ""]; };
  named();
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(page.dataset.theme || "") + 1) % names.length];
    if (next) page.dataset.theme = next; else delete page.dataset.theme;
    kept.set(next);
    named();
  });

  // code: folded by default, unfolded together by the button or by the key c
  const unfold = document.querySelector("button.unfold");
  const folded = all("details.code");
  const toggle = () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    for (const one of folded) one.open = open;
    unfold.setAttribute("aria-pressed", String(open));
    unfold.firstChild.textContent = open ? "Hide all code " : "Show all code ";
  };
  if (unfold) unfold.addEventListener("click", toggle);

  const search = document.getElementById("search");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "c" && unfold) toggle();
    if (event.key === "/") { event.preventDefault(); search.focus(); }
  });

  // contents of a long page: open beside the text, folded above it
  if (matchMedia("(max-width: 62rem)").matches) for (const one of all(".contents details")) one.open = false;

  // filters of the verdicts and of the figures
  for (const form of all("form[data-filters]")) {
    const rows = all(form.dataset.filters === "claims" ? "#claims tbody tr" : "#figures .card");
    const said = form.querySelector(".shown");
    const filter = () => {
      const asked = Object.fromEntries(new FormData(form));
      const words = (asked.words || "").toLowerCase().split(/\s+/).filter(Boolean);
      const profiles = asked.profile ? [asked.profile] : ["embedded", "photos"];
      let count = 0;
      for (const row of rows) {
        const data = row.dataset;
        let fits = !asked.paper || data.paper === asked.paper;
        fits &&= !asked.notebook || data.notebook === asked.notebook;
        if (data.embedded === undefined) fits &&= !asked.profile || data.profile === asked.profile;
        else if (asked.verdict) fits &&= profiles.some((one) => data[one] === asked.verdict);
        else if (asked.profile) fits &&= data[asked.profile] !== "not testable here";
        const text = words.length ? row.textContent.toLowerCase() : "";
        fits &&= words.every((word) => text.includes(word));
        row.hidden = !fits;
        count += fits;
      }
      for (const one of ["embedded", "photos"]) {
        for (const cell of all(`#claims .of-${one}`)) cell.hidden = !profiles.includes(one);
      }
      for (const group of all("#figures section")) group.hidden = !group.querySelector(".card:not([hidden])");
      const of = Number(said.dataset.of);
      const what = said.textContent.split(" ").pop();
      said.textContent = count === of ? `${of} ${what}` : `${count} of ${of} ${what}`;
    };
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter));
    form.addEventListener("submit", (event) => event.preventDefault());
    filter(); // a browser may bring back what was chosen before
  }

  // search: the list of what can be found is loaded when it is first wanted
  const root = document.body.dataset.root;
  const results = document.getElementById("results");
  let found = null;
  const load = () => {
    if (found) return;
    found = [];
    const script = document.createElement("script");
    script.src = `${root}assets/found.js`;
    script.onload = () => { found = companionFound.map((one) => [...one, `${one[1]} ${one[3]}`.toLowerCase()]); look(); };
    document.head.append(script);
  };
  const look = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.hidden = !words.length;
    if (!words.length) return;
    const hits = found.filter((one) => words.every((word) => one[4].includes(word)));
    const missing = (title) => words.filter((word) => !title.includes(word)).length;
    const rank = (one) => {
      const title = one[1].toLowerCase();
      return title === words.join(" ") ? -1 : missing(title) + (one[0] === "source" ? 0.5 : 0);
    };
    hits.sort((a, b) => rank(a) - rank(b));
    document.getElementById("search-said").textContent =
      `${hits.length} found${hits.length > 40 ? ", the first 40 shown" : ""}`;
    results.querySelector("ol").replaceChildren(...hits.slice(0, 40).map(([kind, title, address, text]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = root + address;
      link.textContent = title;
      const label = Object.assign(document.createElement("span"), { className: "kind", textContent: kind });
      const at = Math.max(0, text.toLowerCase().indexOf(words[0]) - 60);
      const small = Object.assign(document.createElement("small"), { textContent: (at ? "…" : "") + text.slice(at, at + 160) });
      item.append(label, link, small);
      return item;
    }));
  };
  search.addEventListener("focus", load);
  search.addEventListener("input", () => { load(); look(); });
  search.form.addEventListener("submit", (event) => { event.preventDefault(); results.querySelector("a")?.focus(); });
  const close = () => { results.hidden = true; };
  for (const place of [search, results]) {
    place.addEventListener("keydown", (event) => { if (event.key === "Escape") { close(); search.focus(); } });
  }
  document.addEventListener("click", (event) => { if (!results.contains(event.target) && event.target !== search) close(); });
  results.addEventListener("click", (event) => { if (event.target.closest("a")) close(); });

  // figures: enlarged in a dialog, which Escape closes
  const dialog = document.createElement("dialog");
  dialog.className = "large";
  dialog.innerHTML = '<form method="dialog"><span></span><button>Close</button></form><div class="room" tabindex="0"><img alt=""></div>';
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  for (const link of all("a.enlarge")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const small = link.querySelector("img");
      const large = dialog.querySelector("img");
      large.src = link.href;
      large.alt = small.alt;
      large.style.width = `max(100%, ${Math.min(small.naturalWidth, 1100)}px)`; // a narrow screen scrolls over it
      dialog.querySelector("span").textContent = link.href.split("/").pop();
      dialog.setAttribute("aria-label", small.alt);
      dialog.showModal();
    });
  }

  // sliders: a picture for each step
  for (const box of all(".frames")) {
    const steps = JSON.parse(box.dataset.steps);
    const range = box.querySelector("input");
    range.hidden = false;
    range.addEventListener("input", () => {
      const step = Number(range.value);
      const image = box.querySelector("img");
      image.src = box.dataset.folder + steps.files[step];
      image.alt = steps.captions[step];
      box.querySelector("output").textContent = steps.values[step];
      box.querySelector(".step-caption").textContent = steps.captions[step];
      range.setAttribute("aria-valuetext", steps.values[step]);
    });
  }
});
