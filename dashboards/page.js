"use strict";
// Unpacks plotly.js and the figures (zlib, base 85) and draws each figure into its slot.
// Nothing is fetched: the page's content policy would forbid it.
(() => {
  const ALPHABET =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";
  // CSS pixels between the margins of the style sheet's @page (A4, 12 mm).
  const PRINT_WIDTH = 702;
  const FOLDED = "section > details:not([open]), .verdict details:not([open])";
  const widest = (slot) => parseFloat(slot.style.maxWidth) || Infinity;
  const slots = Array.from(document.querySelectorAll(".plot"));

  const say = (slot, sentence) => {
    const note = document.createElement("p");
    note.className = "empty";
    note.textContent = sentence;
    slot.replaceChildren(note);
    slot.style.height = "auto";
  };

  const decode = (text, length) => {
    const values = new Uint8Array(128);
    for (let i = 0; i < 85; i += 1) values[ALPHABET.charCodeAt(i)] = i;
    const bytes = new Uint8Array((text.length / 5) * 4);
    for (let i = 0, o = 0; i < text.length; i += 5, o += 4) {
      let word = 0;
      for (let k = i; k < i + 5; k += 1) word = word * 85 + values[text.charCodeAt(k)];
      bytes[o] = word >>> 24;
      bytes[o + 1] = word >>> 16;
      bytes[o + 2] = word >>> 8;
      bytes[o + 3] = word;
    }
    return bytes.subarray(0, length);
  };

  const unpack = (id) => {
    const holder = document.getElementById(id);
    const bytes = decode(holder.textContent, Number(holder.dataset.bytes));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  };

  const load = (code) => {
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
    script.remove();
  };

  const draw = async () => {
    const [code, text] = await Promise.all([unpack("plotly-code"), unpack("figure-data")]);
    load(code);
    const { figures, light, dark } = JSON.parse(text);
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    const template = () => (scheme.matches ? dark : light);
    const config = {
      responsive: true,
      displaylogo: false,
      modeBarButtons: [["resetScale2d", "toImage"]],
    };
    for (const slot of slots) {
      const { data, layout } = figures[slot.id];
      await window.Plotly.newPlot(slot, data, { ...layout, template: template() }, config);
      // Lets the page answer to the reader between two figures.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const repaint = (change, some = slots) => {
      for (const slot of some) window.Plotly.relayout(slot, change(slot));
    };
    scheme.addEventListener("change", () => repaint(() => ({ template: template() })));
    // Paper is white, and as wide as PRINT_WIDTH; a figure keeps its size unless it is told.
    const printed = (slot) => Math.min(PRINT_WIDTH, widest(slot));
    window.addEventListener("beforeprint", () => {
      const wrong = (slot) => scheme.matches || slot.clientWidth !== printed(slot);
      repaint((slot) => ({ template: light, width: printed(slot) }), slots.filter(wrong));
    });
    window.addEventListener("afterprint", () =>
      repaint(() => ({ template: template(), width: null, autosize: true }))
    );
    document.documentElement.dataset.figures = "drawn";
  };

  // What is folded on the screen cannot be unfolded on paper; a rule's parameters are left out there.
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll(FOLDED)];
    for (const details of unfolded) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
  });

  for (const command of document.querySelectorAll(".command")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    command.after(button);
  }

  if (!("DecompressionStream" in window)) {
    for (const slot of slots)
      say(slot, "This browser cannot unpack the figure; use Chrome 80, Firefox 113, Safari 16.4 or later.");
    return;
  }
  draw().catch((error) => {
    document.documentElement.dataset.figures = "failed";
    for (const slot of slots)
      if (!slot.querySelector("svg")) say(slot, `The figure could not be drawn: ${error.message}`);
  });
})();
