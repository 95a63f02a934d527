"""Whether text can be read: its contrast to what is painted behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

LEAST = 4.5
"""The contrast that WCAG's level AA asks of text of ordinary size."""

_CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    // Whatever the notation, the browser itself says what colour it is.
    const painted = colours => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const behind = element => {
        const colours = [];
        for (let at = element; at; at = at.parentElement) {
            colours.unshift(getComputedStyle(at).backgroundColor);
        }
        return ["white", ...colours];
    };
    const luminance = rgb => {
        const [r, g, b] = rgb.map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = [];
    for (const element of document.querySelectorAll(".mpmagic *:not(style, title)")) {
        const text = [...element.childNodes]
            .filter(node => node.nodeType === Node.TEXT_NODE)
            .map(node => node.data.trim()).join("");
        if (!text || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const front = element instanceof SVGElement ? style.fill : style.color;
        const ground = behind(element);
        const both = [painted(ground), painted([...ground, front])].map(luminance);
        const [dark, light] = both.sort((a, b) => a - b);
        texts.push([text, Math.round(100 * (light + 0.05) / (dark + 0.05)) / 100]);
    }
    return texts;
}"""


def unreadable(page: Page) -> list[Any]:
    """The texts in mpmagic's HTML with too little contrast, and what they have.

    Raises
    ------
    AssertionError
        If there is no text to be judged.
    """
    texts = page.evaluate(_CONTRASTS)
    assert len(texts) > 20, texts
    return [(text, contrast) for text, contrast in texts if contrast < LEAST]
