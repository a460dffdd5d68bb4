"use strict";
const $ = (id) => document.getElementById(id);
const form = $("form");
let picture = null, speech = null, preview = null, current = null, events = null, limits = { max_upload_mb: 64 };

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({ detail: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(typeof body.detail === "string" ? body.detail : `the server answered ${answer.status}`);
  return body;
}

function problem(text) { $("problem").textContent = text; }

// ---- photograph ----
async function takePicture(file) {
  picture = null; preview = null; problem(""); $("picture-problem").textContent = "";
  $("warnings").replaceChildren();
  $("picture").src = URL.createObjectURL(file); $("picture").hidden = false;
  $("picture-said").textContent = "looking for the person …";
  const data = new FormData(); data.append("image", file, "image");
  try {
    if (file.size > limits.max_upload_mb * 2 ** 20) throw new Error(`the picture is larger than ${limits.max_upload_mb} MB`);
    preview = await ask("api/preview", { method: "POST", body: data });
    picture = file;
    $("picture").src = preview.picture;
    const hands = [preview.left_hand && "left", preview.right_hand && "right"].filter(Boolean);
    $("picture-said").textContent = `What is lit will move: head and face${
      hands.length ? `, ${hands.join(" and ")} hand.` : ". No hands were found; they will be still."}`;
    $("warnings").replaceChildren(...preview.warnings.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  } catch (error) {
    $("picture-said").textContent = "";
    $("picture-problem").textContent = `${error.message}.`;
  }
}

function droppable(area, input, take) {
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  for (const name of ["dragover", "dragleave", "drop"]) area.addEventListener(name, (event) => {
    event.preventDefault();
    area.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

let camera = null;
function stopCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = null; $("viewfinder").hidden = $("shoot").hidden = true; $("camera").textContent = "Use the camera";
}
$("camera").addEventListener("click", async () => {
  if (camera) return stopCamera();
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    $("viewfinder").srcObject = camera; $("viewfinder").hidden = $("shoot").hidden = false; $("camera").textContent = "Stop";
    await $("viewfinder").play();
  } catch (error) { problem(`no camera: ${error.message}`); }
});
$("shoot").addEventListener("click", () => {
  const view = $("viewfinder"), canvas = document.createElement("canvas");
  canvas.width = view.videoWidth; canvas.height = view.videoHeight;
  canvas.getContext("2d").drawImage(view, 0, 0);
  canvas.toBlob((blob) => { stopCamera(); takePicture(blob); }, "image/png");
});

// ---- speech ----
function takeSpeech(file) {
  speech = file; problem("");
  $("heard").src = URL.createObjectURL(file); $("heard").hidden = false;
  $("audio-drop").querySelector("span").textContent = file.name || "recorded here";
}
let tab = "file";
for (const button of document.querySelectorAll("[data-tab]")) button.addEventListener("click", () => {
  tab = button.dataset.tab;
  for (const other of document.querySelectorAll("[data-tab]")) other.setAttribute("aria-selected", other === button);
  for (const panel of document.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== tab;
  $("heard").hidden = tab === "words" || !speech;
});
let recorder = null, ticking = 0;
$("record").addEventListener("click", async () => {
  if (recorder) return recorder.stop();
  try {
    const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
    const parts = [], begin = Date.now();
    recorder = new MediaRecorder(sound);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      sound.getTracks().forEach((track) => track.stop());
      clearInterval(ticking); recorder = null; $("record").textContent = "Record again";
      takeSpeech(new Blob(parts, { type: parts[0]?.type || "audio/webm" }));
    };
    recorder.start();
    $("record").textContent = "Stop";
    ticking = setInterval(() => { $("recording-time").textContent = `${((Date.now() - begin) / 1000).toFixed(1)} s`; }, 100);
  } catch (error) { problem(`no microphone: ${error.message}`); }
});

// ---- a job ----
form.addEventListener("submit", async (event) => {
  event.preventDefault(); problem("");
  if (!picture) return problem("give a photograph first");
  const data = new FormData();
  data.append("image", picture, "image");
  if (tab === "words") {
    data.append("text", $("text").value);
    data.append("language", $("language").value); data.append("voice", $("voice").value);
  } else if (speech) data.append("audio", speech, speech.name || "Recording");
  else return problem("give a recording, or a text");
  for (const name of ["seed", "size", "head", "hands", "mouth", "guidance"]) data.append(name, $(name).value);
  data.append("label", $("label").checked);
  $("start").disabled = true; $("start").textContent = "Sending …";
  try { show(await ask("api/jobs", { method: "POST", body: data })); }
  catch (error) { problem(error.message); }
  $("start").disabled = false; $("start").textContent = "Make the video";
});

function show(job) {
  current = { id: job.id, attempt: 0, state: "" };
  $("player").removeAttribute("src"); $("player").poster = job.picture; $("player").load();
  $("now").hidden = false;
  follow(job.id); update(job); gallery();
  if (matchMedia("(max-width: 50rem)").matches) $("now").scrollIntoView();
}

const ENDED = ["done", "failed", "cancelled"];
function follow(id) {
  events?.close();
  events = new EventSource(`api/jobs/${id}/events`);
  events.onmessage = (event) => update(JSON.parse(event.data));
  events.onerror = () => { $("now-said").textContent = "the server does not answer; trying again …"; };
  events.addEventListener("gone", () => { events.close(); $("now").hidden = true; });
}

function update(job) {
  if (!current || job.id !== current.id) return;
  const player = $("player");
  $("now-title").textContent = job.title;
  $("progress").value = job.total ? job.done / job.total : 0;
  $("cancel").hidden = ENDED.includes(job.state);
  $("progress").hidden = $("cancel").hidden;
  const left = job.seconds_left === null ? "" : `, about ${Math.ceil(job.seconds_left)} s left`;
  $("now-said").textContent = {
    queued: job.ahead ? `waiting, ${job.ahead} before it` : "waiting",
    running: !job.total ? "reading the photograph" : job.done ? `${job.done} of ${job.total} frames${left}`
      : `making the first of ${job.total} frames`,
    done: "done", failed: job.message, cancelled: "cancelled",
  }[job.state];
  $("now-said").classList.toggle("problem", job.state === "failed");
  $("now-warnings").replaceChildren(...job.warnings.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  if (job.stream && job.done > 15 && current.attempt !== job.attempt) {
    current.attempt = job.attempt;
    player.src = job.stream; player.play().catch(() => {});
  }
  if (job.state !== current.state) {
    current.state = job.state;
    if (ENDED.includes(job.state)) events?.close();
    player.hidden = ["failed", "cancelled"].includes(job.state);
    if (job.state === "done") {
      const at = player.currentTime, playing = !player.paused && current.attempt;
      const swap = () => { player.src = job.video; player.currentTime = at; if (playing) player.play().catch(() => {}); };
      // What plays goes on to its end; the whole file, which can be wound, takes its place then or at once.
      if (playing && !player.ended) player.addEventListener("ended", () => { player.src = job.video; }, { once: true }); else swap();
      $("download").href = job.video;
    }
    $("download").hidden = job.state !== "done";
    gallery();
  }
}
$("cancel").addEventListener("click", async () => {
  try { update(await ask(`api/jobs/${current.id}/cancel`, { method: "POST" })); } catch (error) { problem(error.message); }
});

// ---- gallery ----
async function gallery() {
  const jobs = await ask("api/jobs").catch((error) => { problem(error.message); return []; });
  $("gallery").replaceChildren(...jobs.map(card));
  $("nothing").hidden = jobs.length > 0;
  return jobs;
}
function card(job) {
  const item = document.createElement("li"), title = document.createElement("p"), row = document.createElement("div");
  title.textContent = title.title = job.title;
  row.className = "row";
  if (job.video) {
    const video = Object.assign(document.createElement("video"), { src: `${job.video}#t=0.1`, controls: true, preload: "metadata" });
    item.append(video);
  } else item.append(Object.assign(document.createElement("img"), { src: job.picture, alt: "" }));
  const state = document.createElement("p");
  state.className = "note";
  state.textContent = job.state === "done" ? new Date(job.created * 1000).toLocaleString() : `${job.state}${job.message ? `: ${job.message}` : ""}`;
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Delete" });
  remove.addEventListener("click", async () => {
    if (!confirm(`Delete “${job.title}”?`)) return;
    await ask(`api/jobs/${job.id}`, { method: "DELETE" }).catch((error) => problem(error.message)); gallery();
  });
  row.append(remove);
  if (!ENDED.includes(job.state)) {
    const watch = Object.assign(document.createElement("button"), { type: "button", textContent: "Watch" });
    watch.addEventListener("click", () => show(job));
    row.append(watch);
  }
  item.append(title, state, row);
  return item;
}

function fill(select, values, chosen, shown = (value) => value) {
  select.replaceChildren(...values.map((value) => new Option(shown(value), value, false, value === chosen)));
}
const GUIDANCE = {
  none: "none", sg: "sequential (SG): 4 to 5 times as long", dg: "differential (DG): 5 times as long" };
async function begin() {
  droppable($("picture-drop"), $("image"), takePicture);
  droppable($("audio-drop"), $("audio"), takeSpeech);
  for (const range of document.querySelectorAll("input[type=range]")) {
    const say = () => { range.nextElementSibling.textContent = Number(range.value).toFixed(1); };
    range.addEventListener("input", say); say();
  }
  limits = await ask("api/offer").catch((error) => { problem(error.message); return limits; });
  fill($("language"), limits.languages || [], "en-us"); fill($("voice"), limits.voices || [], limits.voice);
  fill($("guidance"), limits.guidance || ["none"], "none", (kind) => GUIDANCE[kind]);
  $("size").max = limits.max_size || 1280;
  if (!(limits.voices || []).length) document.querySelector("[data-tab=words]").title = $("text").placeholder = "espeak-ng is not installed";
  // A page that was loaded again goes on with what was under way.
  const running = (await gallery()).find((job) => !ENDED.includes(job.state));
  if (running) show(running);
}
begin();
