// The dialog with the pictures of the data set.

import { getSamples } from "./api.js";
import { byId, make } from "./dom.js";
import { state } from "./state.js";

const PER_CALL = 60;

/** Prepare the dialog. `choose(id)` is called with the picture that is chosen. */
export function makeSamples(dataset, choose) {
  const dialog = byId("samples");
  const place = byId("thumbnails");
  byId("samples-title").textContent = `${dataset.name} · ${dataset.pictures.toLocaleString("en")} pictures`;
  async function more() {
    const listed = await getSamples(place.childElementCount, PER_CALL);
    place.append(...listed.map(({ id, name }) => make("button", { class: "thumbnail", title: name, "data-id": id, click: () => {
      dialog.close();
      choose(id);
    } }, make("img", { src: `/api/thumbnails/${id}`, alt: "", loading: "lazy" }), make("span", {}, name.replace(/^.*\//, "")))));
    byId("more").hidden = place.childElementCount >= dataset.pictures;
  }
  byId("more").addEventListener("click", more);
  return async () => {
    if (!place.childElementCount) await more();
    for (const button of place.children) button.toggleAttribute("aria-current", button.dataset.id === state.picture);
    dialog.showModal();
  };
}
