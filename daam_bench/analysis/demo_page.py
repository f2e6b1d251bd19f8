"""The demo's page, in Gradio: type a prompt, generate it, click a word, move tau."""

from __future__ import annotations

from typing import Any

from PIL import Image

from daam_bench.analysis.looking import Looked, Looker, draw, enlarged
from daam_bench.emoji.world_nouns import NOUNS
from daam_bench.types.errors import InputError

EXAMPLES = ("a boat and a fish on the sea", "two cats and a pizza in the room", "a big dog near a red car")


def chosen_word(looked: Looked) -> str | None:
    """Return the word that is shown first: a noun of the emoji world, or else the last with a map, if any."""
    pairs = zip(looked.words, looked.found, strict=True)
    mapped = [word for word, found in pairs if found is not None and any(map(str.isalnum, word))]
    return next((word for word in mapped if word.split("#")[0] in NOUNS), mapped[-1] if mapped else None)


def build_page(looker: Looker) -> Any:
    """Return the page as `gradio.Blocks`; `.launch()` serves it.

    Raises:
        InputError: Gradio is not installed.
    """
    try:
        import gradio as gr
    except ImportError:
        raise InputError("the demo needs Gradio: pip install 'daam-bench[demo]'") from None

    own = looker.generation

    def generate(
        prompt: str, seed: float, steps: float, guidance: float, method: str, layers: list[str], last: float
    ) -> tuple[Any, ...]:
        try:
            looked = looker.look(
                prompt,
                seed=int(seed),
                steps=int(steps),
                guidance_scale=None if own.guidance_scale is None else float(guidance),
                method=method,
                layers=layers,
                last_step=int(last),
            )
        except InputError as error:
            raise gr.Error(str(error)) from None
        word = chosen_word(looked)
        choices = gr.Radio(choices=list(looked.words), value=word)
        return looked, enlarged(looked.image)[0], choices, *show(looked, word, 0.4), 0.4

    def show(looked: Looked | None, word: str | None, tau: float) -> tuple[Image.Image | None, ...] | Any:
        if looked is None or word is None:
            return None, None, ""
        try:
            heated, masked, share = draw(looked, word, tau)
        except InputError as error:
            raise gr.Error(str(error)) from None
        return (
            heated,
            masked,
            f"The mask of **{word}** at τ = {tau:g} covers {100 * share:.1f} % of the image.",
        )

    with gr.Blocks(title="daam-bench", analytics_enabled=False) as page:
        gr.Markdown(
            f"# Which pixels are the word?\nHeat maps of the words of a prompt, made by `{own.model}`. "
            "[daam-bench](https://arxiv.org/abs/2210.04885)"
        )
        with gr.Row():
            prompt = gr.Textbox(label="Prompt", value=EXAMPLES[0], scale=4)
            button = gr.Button("Generate", variant="primary", scale=1)
        with gr.Row():
            seed = gr.Number(label="Seed", value=1, precision=0, minimum=0)
            steps = gr.Slider(1, 100, value=own.steps, step=1, label="Steps")
            guidance = gr.Slider(0, 15, value=own.guidance_scale or 0, step=0.5, label="Guidance scale")
            method = gr.Dropdown(looker.methods(), value="daam", label="Method")
        with gr.Accordion("Layers and steps that daam adds up", open=False):
            layers = gr.CheckboxGroup(list(looker.layers), label="Layers (none chosen: all)")
            last = gr.Slider(1, 100, value=100, step=1, label="Steps up to")
        words = gr.Radio([], label="Word")
        tau = gr.Slider(0.01, 0.99, value=0.4, step=0.01, label="τ, the share of the map's maximum")
        with gr.Row():
            image = gr.Image(label="Image", type="pil", interactive=False)
            heated = gr.Image(label="Heat map and outline", type="pil", interactive=False)
            masked = gr.Image(label="Mask", type="pil", interactive=False)
        said = gr.Markdown()
        gr.Examples([[text] for text in EXAMPLES], [prompt])
        state = gr.State(None)

        settings = [prompt, seed, steps, guidance, method, layers, last]
        results = [state, image, words, heated, masked, said, tau]
        for start in (button.click, prompt.submit):
            start(generate, settings, results)
        for change in (words.input, tau.input):
            change(show, [state, words, tau], [heated, masked, said], show_progress="hidden")
    return page
