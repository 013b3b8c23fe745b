"""Train a translation of clips: accelerate launch tools/train_translation.py --config restore --data.path VIDEOS."""

from gancore.parsing import parse_config, report_user_errors
from vidgan.translation_config import TranslationConfig
from vidvox.recipes import find_recipes
from vidvox.train import train_translation


@report_user_errors
def main() -> None:
    train_translation(parse_config(TranslationConfig, recipes=find_recipes("translation")))


if __name__ == "__main__":
    main()
