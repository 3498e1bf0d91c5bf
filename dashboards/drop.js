"use strict";
// Sends the picture that was dropped or chosen to its endpoint, and shows the server's answer.
(() => {
  const zone = document.getElementById("drop");
  if (!zone) return;
  const input = document.getElementById("file");
  const image = document.getElementById("shown");
  const answer = document.getElementById("answer");
  let latest = 0;

  const say = (sentence) => {
    const note = document.createElement("p");
    note.className = "empty";
    note.textContent = sentence;
    answer.replaceChildren(note);
  };

  const send = async (file) => {
    const turn = (latest += 1);
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    say(`asking about ${file.name} …`);
    try {
      const address = `/endpoints/${encodeURIComponent(zone.dataset.endpoint)}/answer`;
      const response = await fetch(address, { method: "POST", body: file });
      const markup = await response.text();
      // The server's own markup, escaped there. An answer to an earlier picture comes too late.
      if (turn === latest) answer.innerHTML = markup;
    } catch {
      if (turn === latest) say("whippet ui does not answer: does it still run?");
    }
  };

  input.addEventListener("change", () => {
    if (input.files.length) send(input.files[0]);
  });
  // The whole page takes the picture: dropped beside the zone, the browser would open it.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", () => zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) send(file);
    else say("that was no file: drop a picture from your disk");
  });
})();
