"""Images, sounds and other signals in one space with text: CLIP, ImageBind, CLAP, Whisper."""
