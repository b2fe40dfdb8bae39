(() => {
  const PREFERS_STILL = matchMedia("(prefers-reduced-motion: reduce)");

  function start(root) {
    root.dataset.ready = "";
    const { interval, sizes, labels, frames } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const controls = [...root.querySelectorAll(".ddl-control input, .ddl-control select")];
    const spoken = root.querySelector(".ddl-spoken");
    let shown = root.querySelector(".ddl-frame");
    const pictures = [shown];

    // Every state has an image element of its own, made when it is first near, so that a step only swaps two of them.
    function picture(index) {
      if (!pictures[index]) {
        const image = shown.cloneNode();
        Object.assign(image, frames[index - 1]);
        image.decode().catch(() => {}); // decoding early is only for speed; the browser decodes when it shows the image
        pictures[index] = image;
      }
      return pictures[index];
    }

    const position = (control) => (control.type === "checkbox" ? Number(control.checked) : Number(control.value));

    function show() {
      const index = controls.reduce((sum, control, i) => sum * sizes[i] + position(control), 0);
      controls.forEach((control, i) => {
        if (control.type !== "range") return;
        const label = labels[i][position(control)];
        control.setAttribute("aria-valuetext", label);
        control.closest(".ddl-control").querySelector("output").textContent = label;
      });
      const next = picture(index);
      if (next === shown) return;
      shown.replaceWith(next);
      shown = next;
      root.dispatchEvent(new CustomEvent("ddl-shown", { bubbles: true, detail: { index } }));
    }

    function speak() {
      if (spoken.textContent !== shown.alt) spoken.textContent = shown.alt;
    }

    controls.forEach((control) => control.addEventListener("input", () => {
      show();
      speak();
    }));
    root.querySelectorAll(".ddl-play").forEach((button) => playable(button, interval, show, speak));

    // A deck moves on with the arrow keys: keys meant for a control must not turn the slide.
    root.addEventListener("keydown", (event) => {
      if (/^(Arrow|Home|End|Page| )/.test(event.key)) event.stopPropagation();
    });

    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      for (let index = 0; index <= frames.length; index++) picture(index);
    }, { rootMargin: "400px" }).observe(root);

    root.querySelector(".ddl-controls").hidden = false;
    show();
  }

  function playable(button, interval, show, speak) {
    const slider = button.closest(".ddl-control").querySelector("input");
    let timer = null;

    function step() {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }
    function stop() {
      if (timer) speak(); // not at every step: the next would cut it short
      clearInterval(timer);
      timer = null;
      name();
    }
    function name() {
      button.textContent = timer ? "Pause" : PREFERS_STILL.matches ? "Next" : "Play";
    }

    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) {
        slider.value = 0;
        show();
      } else if (PREFERS_STILL.matches) {
        step();
      }
      if (PREFERS_STILL.matches) speak();
      else timer = setInterval(step, interval);
      name();
    });
    slider.addEventListener("input", stop); // the reader takes over
    PREFERS_STILL.addEventListener("change", stop);
    name();
  }

  document.querySelectorAll("ddl-explorable:not([data-ready])").forEach((root) => {
    if (root.querySelector("script[type='application/json']")) start(root);
  });
})();
