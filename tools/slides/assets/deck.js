// Starts a deck. Runs after reveal.js and its notes plugin, and before MathJax, which reads its settings here.

(() => {
  const SMALLEST = 0.7; // of the usual size of text; what does not fit then is too much for one slide

  // System fonts differ in width: where a slide's text needs more room than there is, it is set a little smaller.
  function fit(slide) {
    const overflows = () =>
      [slide, ...slide.querySelectorAll(".body, .column")].some(
        (box) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1,
      );
    for (let size = 1; size >= SMALLEST; size -= 0.05) {
      slide.style.setProperty("--fit", size);
      if (!overflows()) return;
    }
  }

  function fitShown() {
    const shown = Reveal.isPrintView() ? Reveal.getSlides() : [Reveal.getCurrentSlide()];
    shown.filter(Boolean).forEach((section) => fit(section.querySelector(".slide")));
  }

  // Keys go to the control that has the focus; Escape gives them back to the deck.
  function giveBackKeys(event) {
    if (event.key !== "Escape" || !event.target.closest("input, select, button")) return;
    event.target.blur();
    event.stopPropagation();
  }

  async function start() {
    await MathJax.startup.defaultPageReady();
    // The speaker's window has no style sheet of ours that would hide the spoken copy of a formula.
    document.querySelectorAll("aside.notes mjx-assistive-mml").forEach((spoken) => spoken.remove());
    document.addEventListener("keydown", giveBackKeys, true);
    document.addEventListener("toggle", fitShown, true); // a folded answer takes room when it is opened
    for (const event of ["ready", "slidechanged", "resize", "pdf-ready"]) Reveal.on(event, fitShown);
    await Reveal.initialize({
      width: 1280,
      height: 720,
      margin: 0,
      center: false,
      hash: true,
      navigationMode: "linear",
      slideNumber: "c",
      transition: "none",
      controlsTutorial: false,
      pdfSeparateFragments: false,
      pdfMaxPagesPerSlide: 1,
      plugins: [RevealNotes],
    });
  }

  window.MathJax = {
    // Every formula carries its own glyphs, so that notes keep theirs when the speaker's window takes a copy of them.
    svg: { fontCache: "none" },
    options: { enableMenu: false },
    startup: { pageReady: start },
  };
})();
