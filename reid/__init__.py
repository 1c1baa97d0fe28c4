"""Foreground-aware Pyramid Reconstruction (ICCV 2019): the network, its training and its distance."""
