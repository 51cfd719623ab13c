"""The part of the tour on images and sounds: CLIP, ImageBind, CLAP and a Whisper encoder."""
import sys

from scratch_embed.cli.printing import heading, paragraph, say_difference, show_intervals

SEEDS = (1, 2, 3)


def run_scenes(arguments):
    """Train models of images, texts and sounds on a world of scenes; probe one of speech."""
    from scratch_embed.why import scene_tour
    from scratch_embed.why.seeds import per_seed
    print(f"(training CLIP and ImageBind with {len(SEEDS)} seeds; the first table is printed after "
          "one to two minutes)", file=sys.stderr, flush=True)
    learned = per_seed(lambda seed: scene_tour.learn(seed), SEEDS)
    show_clip(learned)
    show_imagebind(learned)
    show_clap()
    show_speech()


def show_clip(learned):
    """Print zero-shot accuracies and recalls of CLIP, and the gap between images and captions."""
    from scratch_embed.why import scene_tour
    from scratch_embed.why.scene_tour import CLIP, CLIP_COLUMNS, UNTRAINED
    from scratch_embed.why.seeds import for_seeds, stack
    heading("17  CLIP: images and texts in one space")
    paragraph("A scene has a shape, a colour, a size, a place, a temperature and a motion.  An "
              "image of 16 x 16 pixels shows the first four, and captions name some of them.  Two "
              f"towers are trained on {CLIP.scenes:,} images and their captions, {CLIP.steps} "
              f"steps of {CLIP.batch_size}.  Zero-shot: the colour, or the shape, of a new image "
              "by prompts such as 'a red thing'; which of 36 pairs of colour and shape an image "
              "has, if its pair was in training ('seen') and if not.  Then recall@10 among 1,000 "
              "from text to image and from image to text; several scenes fit a caption, so it "
              f"may not reach 100.  %, mean of {len(SEEDS)} seeds.")
    found = for_seeds(lambda one: scene_tour.clip_scores(one), [*learned.values()])
    scores, gaps = (stack(part) for part in zip(*found))
    for first, last in (0, 2), (2, 4), (4, 6):
        show_intervals({row: x[:, first:last] for row, x in scores.items()},
                       CLIP_COLUMNS[first:last])
    for column, name in enumerate(CLIP_COLUMNS):
        say_difference(name, "CLIP", UNTRAINED, {row: x[:, column] for row, x in scores.items()})
    print("    the gap between the mean image and the mean caption: "
          f"{gaps[UNTRAINED].mean():.2f} before training, {gaps['CLIP'].mean():.2f} after")
    paragraph("The table shows that captions alone teach an image tower to see: no class was ever "
              "given.  Pairs that never occurred in training, such as a green circle, depend on "
              "the seed most; answer 5 and why clip say more.", "    ")


def show_imagebind(learned):
    """Print which senses agree that never met, what can be heard, and sums of senses."""
    from scratch_embed.why import scene_tour
    from scratch_embed.why.scene_tour import SENSES
    from scratch_embed.why.seeds import for_seeds, stack
    heading("18  ImageBind: six senses, each paired with images only")
    paragraph("Depth shows shape and size, heat (thermal) shape and temperature, a sound (audio) "
              "shape, size and motion, a motion sensor (imu) size and motion.  A tower for each is "
              f"trained on {SENSES.scenes:,} pairs with images, {SENSES.steps} steps; the image "
              "tower is CLIP's and stays as it is.  A sound never met a caption.  Recall@10 among "
              "1,000, of its upper bound: what both senses and images show.  Pairs with * met in "
              f"training; chance is 0.010; mean of {len(SEEDS)} seeds.")
    found = for_seeds(lambda one: scene_tour.bound_scores(one), [*learned.values()])
    show_matrix([one.matrix for one in found])
    paragraph("How far from chance to the bound, in %, without image-text; what a sense says of a "
              "scene's shape and colour, by prompts; and whether the image nearest to a sound plus "
              "a colour, such as 'a red thing', has that colour, the sound's shape, and both with "
              "the sound's size:")
    shares, shapes, sums = (stack(part) for part in zip(*(one[1:] for one in found)))
    show_intervals(shares, ("met", "never met"))
    show_intervals(shapes, ("shape", "colour"))
    show_intervals(sums, ("colour", "shape", "all three"))
    never = {name: x[:, 1] for name, x in shares.items()}
    say_difference("never met", "ImageBind", "random towers", never)
    paragraph("The table shows that a sound and a text meet through images, in what images show, "
              "and in nothing else: no training can make a sound tell a colour.", "    ")


def show_matrix(matrices):
    """Print the mean recall of each pair of senses over its bound.  matrices: one of each seed"""
    from scratch_embed.multimodal.imagebind_verdict import met
    from scratch_embed.worlds.scenes import KNOWN
    print(f"    {'from / to':10}" + "".join(f"{name:13}" for name in KNOWN).rstrip())
    for a in KNOWN:
        cells = [""] * len(KNOWN)
        for at, b in enumerate(KNOWN):
            if a != b:
                recall, bound = (sum(cells[a, b][i] for cells in matrices) / len(matrices)
                                 for i in (0, 1))
                cells[at] = f"{recall:.3f}/{bound:.3f}{'*' if met(a, b) else ''}"
        print(f"    {a:10}" + "".join(f"{cell:13}" for cell in cells).rstrip())


def show_clap():
    """Print how often a sound finds its caption, beside linear maps of its spectrogram."""
    from scratch_embed.why import scene_tour
    from scratch_embed.why.scene_tour import CLAP_COLUMNS, SOUNDS
    from scratch_embed.why.seeds import over_seeds
    heading("19  CLAP: sounds and texts, paired")
    paragraph("An audio tower with attention in windows and a small RoBERTa are trained on "
              f"{SOUNDS.scenes:,} sounds and their captions, {SOUNDS.steps} steps of "
              f"{SOUNDS.batch_size}.  exact@1: the first of {SOUNDS.test} captions agrees with the "
              "sound in shape, size and motion; recall@10: its own caption is among the first ten. "
              " The linear maps predict the words of a caption from a spectrogram, or from the "
              f"untrained tower.  %, mean of {len(SEEDS)} seeds.")
    scores = over_seeds(lambda seed: scene_tour.clap_scores(seed), SEEDS)
    show_intervals(scores, CLAP_COLUMNS)
    exact = {name: x[:, 0] for name, x in scores.items()}
    for other in "before training", "log-mel, linear map", "untrained tower, linear map":
        say_difference("exact@1", "CLAP", other, exact)
    paragraph("The table shows that it takes a simple method as a baseline to know what training "
              "is worth: a linear map of the spectrogram finds captions too.", "    ")


def show_speech():
    """Print what the layers of a Whisper encoder know of syllable and speaker."""
    from scratch_embed.why import scene_tour, speech
    from scratch_embed.why.scene_tour import SPEECH_COLUMNS, SPEECH_STEPS
    from scratch_embed.why.seeds import over_seeds
    heading("20  Whisper's encoder: what is said, and who says it")
    paragraph("An encoder of three layers is trained on the syllables of noisy toy speech, "
              f"{SPEECH_STEPS} steps.  Linear probes predict the syllable of a frame, or the "
              "speaker of an utterance, from its vectors; layer 0 is after the convolutions.  "
              f"% correct on other utterances, mean of {len(SEEDS)} seeds.")
    scores = over_seeds(lambda seed: scene_tour.speech_scores(seed), SEEDS)
    show_intervals(scores, SPEECH_COLUMNS)
    last = f"layer {speech.CONFIG.layers}"
    for column, name in enumerate(SPEECH_COLUMNS):
        rows = {row: x[:, column] for row, x in scores.items()}
        for other in speech.SPECTROGRAM, f"random, {last}":
            say_difference(name, f"trained, {last}", other, rows)
    paragraph("The table shows what training for syllables keeps and what is lost on the way, "
              "beside the spectrogram, which knows much by itself.", "    ")
