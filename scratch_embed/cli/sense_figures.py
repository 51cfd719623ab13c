"""Two figures of `figures`: images found by text and sound, and the matrix of senses.

Read next why/sense_figures.py (their numbers), cli/figures.py (the command)
"""
GREEN, ORANGE, GREY = "#009E73", "#D55E00", "#7F7F7F"              # Okabe & Ito, as in figures.py


def sense_figures(steps):
    """{file name: (a function that computes the numbers, a function that draws them)}.

    steps: of CLIP, which is trained once for both figures
    """
    from scratch_embed.why import sense_figures as numbers
    models = numbers.train_once(steps)
    return {"imagebind.png": (lambda: numbers.images_of_queries(models()), draw_images),
            "imagebind_verdict.png": (lambda: numbers.every_pair(models()), draw_matrices)}


def draw_images(figure, rows):
    """Draw a query and its nearest images in each row; right ones have a green frame."""
    columns = len(rows[0].images)
    grid = figure.subplots(len(rows), columns + 1, width_ratios=[2.6] + [1] * columns)
    for cells, row in zip(grid, rows):
        query, *places = cells
        query.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(-1, 1))
        query.set_frame_on(False)
        if row.wave is not None:
            part = row.wave[:500] / (abs(row.wave[:500]).max() or 1)
            query.plot([n / len(part) for n in range(len(part))], 0.2 * part - 0.78,
                       color=GREY, linewidth=0.7)
        query.text(0, 0.25, f"{row.title}\nat random: {row.chance:.1%} right", va="center",
                   fontsize=9)
        for place, image, right in zip(places, row.images, row.right):
            place.imshow(image, interpolation="nearest")
            place.set(xticks=[], yticks=[])
            for spine in place.spines.values():
                spine.set(visible=True, color=GREEN if right else ORANGE, linewidth=2.5,
                          linestyle="-" if right else ":")
    figure.suptitle("The nearest of 1,000 images, the first at the left; a dotted frame: not what "
                    "was asked for", fontsize=10.5)


def draw_matrices(figure, matrices):
    """Draw recall@10 of each pair of senses over its bound, trained and with random towers."""
    import numpy as np
    names = matrices.senses
    panels = figure.subplots(1, 2)
    titles = "ImageBind (* met in training)", "random towers of the last four senses"
    for panel, cells, title in zip(panels, (matrices.trained, matrices.random), titles):
        share = np.full((len(names), len(names)), np.nan)
        for (a, b), cell in cells.items():
            if cell.bound > cell.chance + 1e-9:
                share[names.index(a), names.index(b)] = ((cell.recall - cell.chance)
                                                         / (cell.bound - cell.chance))
        drawn = panel.imshow(share, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (a, b), cell in cells.items():
            row, column = names.index(a), names.index(b)
            star = "*" if "image" in (a, b) and (panel is panels[0] or "text" in (a, b)) else ""
            panel.text(column, row, f"{cell.recall:.3f}{star}\nof {cell.bound:.3f}", ha="center",
                       va="center", fontsize=6.5,
                       color="white" if share[row, column] < 0.6 else "black")
        panel.set(xticks=range(len(names)), xticklabels=names, yticks=range(len(names)),
                  yticklabels=names, title=title)
        panel.tick_params(labelsize=8.5)
    panels[0].set(ylabel="queries", xlabel="searched")
    panels[1].set(xlabel="searched")
    figure.colorbar(drawn, ax=panels, label="from chance (0) to the bound (1)", shrink=0.9)
    figure.suptitle("Recall@10 of 1,000 scenes, of its upper bound; chance is 0.010", fontsize=10.5)
