"""Parameter shapes of real models, in the order of `model.parameters()`."""

Shape = tuple[int, ...]
DIGITS: tuple[Shape, ...] = ((32, 64), (32,), (10, 32), (10,))
"""Of the network that learns scikit-learn's digits: 4 tensors, 2,410 parameters."""


def resnet50() -> tuple[Shape, ...]:
    """torchvision's ResNet-50: 161 tensors, 25,557,032 parameters."""
    shapes: list[Shape] = [(64, 3, 7, 7), (64,), (64,)]
    channels = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        out = 4 * width
        for block in range(blocks):
            shapes += [(width, channels, 1, 1), (width,), (width,)]
            shapes += [(width, width, 3, 3), (width,), (width,)]
            shapes += [(out, width, 1, 1), (out,), (out,)]
            if block == 0:
                shapes += [(out, channels, 1, 1), (out,), (out,)]
            channels = out
    return (*shapes, (1000, 2048), (1000,))


def gpt2() -> tuple[Shape, ...]:
    """GPT-2 small, head tied to the embedding: 148 tensors, 124,439,808 parameters."""
    d = 768
    norm: list[Shape] = [(d,), (d,)]
    attention: list[Shape] = [(d, 3 * d), (3 * d,), (d, d), (d,)]
    mlp: list[Shape] = [(d, 4 * d), (4 * d,), (4 * d, d), (d,)]
    blocks = 12 * [*norm, *attention, *norm, *mlp]
    return ((50257, d), (1024, d), *blocks, *norm)


def shapes(layout: str, size: str) -> tuple[Shape, ...]:
    """Of a case's parameters; `size` counts elements ("1e5") and matters to the layout `single` alone."""
    if layout == "single":
        return ((int(float(size)),),)
    if layout == "book":
        return ((5, 1), (1,))  # the w and b of section 7.6
    if layout == "many":
        return 1000 * ((1000,),)
    if layout == "digits":
        return DIGITS
    return {"resnet50": resnet50, "gpt2": gpt2}[layout]()
