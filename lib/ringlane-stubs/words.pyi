# What reads words of a channel's block.
